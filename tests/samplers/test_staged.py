import math
import warnings

import optuna
import pytest
import torch
from optuna.trial import TrialState

import optnas
from optnas.errors import InputError
from optnas.pareto.front import front_of
from optnas.samplers import (
    PredictorSampler,
    QLearningSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
    ReseededSampler,
    Stage,
    StagedSampler,
    make_sampler,
)
from optnas.study.attributes import KILLED, LOST

STAGES = (Stage("depth|.*width", 12), Stage(r".*\.kernel", 10))


def objective(trial):
    """Two objectives over layers with a width and a kernel; the depth decides which exist."""
    score, cost = 5.0, 0.0
    for i in range(trial.suggest_int("depth", 1, 4)):
        width = trial.suggest_int(f"layer{i}.width", 1, 64)
        kernel = trial.suggest_categorical(f"layer{i}.kernel", [1, 3, 5, 7])
        score -= math.log(width) * kernel / (i + 3)
        cost += width * kernel**2
    return score, cost


def failing(trial):
    values = objective(trial)
    return (math.nan, 0.0) if trial.number % 4 == 2 else values


INNER = {
    "evolution": lambda: RegularizedEvolutionSampler(seed=1, n_startup_trials=4),
    "local search": lambda: make_sampler("local_search", 1),
    "predictor": lambda: PredictorSampler(objective, seed=1, n_candidates=24, n_checked=6),
    "reinforce": lambda: ReinforceSampler(seed=1),
    "qlearning": lambda: QLearningSampler(seed=1, schedule=20),
    "tpe": lambda: ReseededSampler(
        lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True), seed=1
    ),
    "nsgaii": lambda: ReseededSampler(
        lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=4), seed=1
    ),
}


def run(inner, trials, stages=STAGES, of=objective, **settings):
    sampler = StagedSampler(INNER[inner](), stages, **settings)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(of, n_trials=trials)
    return study


def agrees(trial, earlier, stage):
    """Whether what a stage doesn't free is equal to a member's of the front so far."""
    complete = [t for t in earlier if t.state == TrialState.COMPLETE]
    directions = [optuna.study.StudyDirection.MINIMIZE] * 2
    return any(
        all(
            trial.params[name] == value
            for name, value in member.params.items()
            if name in trial.params and not stage.frees(name)
        )
        for member in front_of(complete, directions)
    )


@pytest.mark.parametrize("inner", INNER)
def test_what_a_stage_does_not_free_is_a_front_member_s(inner):
    trials = run(inner, 22).trials
    for trial in trials[1:]:
        assert agrees(trial, trials[: trial.number], STAGES[0 if trial.number < 12 else 1])
    assert len({str(t.params) for t in trials}) == 22


def test_failed_trials_count_for_their_stage_and_all_is_free_after_the_last():
    trials = run("evolution", 40, of=failing).trials
    assert sum(t.state == TrialState.FAIL for t in trials) == 10
    for trial in trials[1:22]:
        assert agrees(trial, trials[: trial.number], STAGES[0 if trial.number < 12 else 1])
    assert not all(agrees(t, trials[: t.number], STAGES[1]) for t in trials[22:])
    assert not all(agrees(t, trials[: t.number], STAGES[0]) for t in trials[22:])


def test_lost_trials_do_not_count_and_running_ones_do():
    study = run("evolution", 10)
    lost = study.ask()
    objective(lost)
    lost.set_user_attr(LOST, KILLED)
    study.tell(lost, state=TrialState.FAIL)
    batch = [study.ask() for _ in range(4)]
    for trial in batch:
        objective(trial)
    stages = [STAGES[0], STAGES[0], STAGES[1], STAGES[1]]
    finished = study.trials[:10]
    for trial, stage in zip(batch, stages, strict=True):
        assert agrees(trial, finished, stage)


def test_stages_come_in_rounds():
    sampler = StagedSampler(INNER["evolution"](), STAGES, rounds=2)
    found = [sampler.stage(n) for n in (0, 11, 12, 21, 22, 33, 34, 43, 44)]
    first, second = STAGES
    assert found == [first, first, second, second, first, first, second, second, None]


def test_a_stage_with_nothing_left_frees_all():
    def small(trial):
        return trial.suggest_int("x", 0, 2), trial.suggest_int("y", 0, 2)

    for stages in ([Stage("x", 9)], [Stage("y", 9)], [Stage("x", 4), Stage("y", 5)]):
        study = run("evolution", 11, stages, of=small)
        assert len({str(t.params) for t in study.trials}) == 9


def test_where_all_is_free_it_is_the_other_sampler_but_for_repeats():
    """Optuna's samplers, too, draw what they draw without stages."""
    for name in ("evolution", "predictor", "reinforce", "tpe"):
        plain = optuna.create_study(directions=["minimize"] * 2, sampler=INNER[name]())
        plain.optimize(objective, n_trials=16)
        staged = run(name, 16, [Stage(".*", 5)])
        assert [t.params for t in staged.trials] == [t.params for t in plain.trials], name


@pytest.mark.parametrize("inner", ["predictor", "reinforce", "tpe", "nsgaii"])
def test_resumes_exactly(inner):
    whole = [t.params for t in run(inner, 26).trials]
    study = run(inner, 0)
    for _ in range(26):
        study.sampler = StagedSampler(INNER[inner](), STAGES)
        study.optimize(objective, n_trials=1)
    assert [t.params for t in study.trials] == whole


def test_a_pattern_that_matches_nothing_is_an_error_at_the_start_of_a_search():
    def build(trial):
        return torch.nn.Linear(4, trial.suggest_int("width", 1, 8))

    def search(*stages):
        return optnas.Search(
            space=optnas.FunctionSpace(build, torch.zeros(1, 4)),
            evaluator=optnas.FunctionEvaluator(lambda *_: {"loss": 0.5}, {"loss": "minimize"}),
            objectives=("loss", "params"),
            sampler=StagedSampler(make_sampler("evolution"), stages),
            trials=3,
            storage=optuna.storages.InMemoryStorage(),
        )

    with pytest.raises(InputError, match=r"no parameter matches 'widt' as a whole.* are: width"):
        search(Stage("width", 2), Stage("widt", 2)).run(progress=False)
    assert len(search(Stage("wid.*", 2)).run(progress=False).trials) == 3


def test_in_plain_optuna_it_is_a_warning_after_the_first_trial():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run("evolution", 1, [Stage("dept", 4)])
        assert not caught
        run("evolution", 5, [Stage("dept", 4)])
    (one,) = caught
    assert "no parameter so far matches 'dept' as a whole; there are: depth, " in str(one.message)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Stage("(", 3), ValueError, "must be a regular expression"),
        (lambda: Stage(None, 3), ValueError, "must be a regular expression"),
        (lambda: Stage("x", 0), ValueError, "trials must be a whole number of at least 1"),
        (lambda: run("evolution", 0, []), ValueError, "at least one Stage, got none"),
        (lambda: run("evolution", 0, ["x"]), TypeError, "of the class Stage, got 'x'"),
        (lambda: run("evolution", 0, rounds=0), ValueError, "rounds must be"),
        (lambda: run("evolution", 0, seed=2), ValueError, "seed is 2, and that of inner 1"),
        (
            lambda: StagedSampler(optnas.GradientSampler(), STAGES),
            TypeError,
            "a GradientSampler learns all decisions at once",
        ),
        (
            lambda: StagedSampler(optuna.samplers.TPESampler(), STAGES),
            TypeError,
            "one of Optuna is given as",
        ),
    ],
)
def test_settings_that_cannot_be(make, error, message):
    with pytest.raises(error, match=message):
        make()
