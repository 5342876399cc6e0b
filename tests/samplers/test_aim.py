"""Where samplers look: within bounds that are known before training, and within the reference."""

import optuna
import pytest
import torch
from optuna.trial import TrialState

import optnas
from optnas.errors import InputError
from optnas.runs.loop import run_trials
from optnas.samplers import make_sampler
from optnas.samplers.ranking import best_first
from optnas.study.attributes import BASELINE, LOST, RETRY_OF
from optnas.study.reference import keep_reference_point

SAMPLERS = ("predictor", "evolution", "local_search", "reinforce", "qlearning")
BOUND = 60


def build(trial):
    """A perceptron of one to three layers; most of its networks break the bound on params."""
    layers, inputs = [], 4
    for i in range(1, trial.suggest_int("depth", 1, 3) + 1):
        width = trial.suggest_int(f"layer{i}.width", 1, 16)
        layers += [torch.nn.Linear(inputs, width), torch.nn.ReLU()]
        inputs = width
    return torch.nn.Sequential(*layers, torch.nn.Linear(inputs, 1))


def score(model, recipe, report):
    """More parameters are better, with a little that depends on the depth."""
    layers = sum(isinstance(m, torch.nn.Linear) for m in model)
    return {"loss": 1.0 / sum(p.numel() for p in model.parameters()) + 0.001 * layers}


def objective(**settings):
    return optnas.Objective(
        optnas.FunctionSpace(build, torch.zeros(1, 4)),
        optnas.FunctionEvaluator(score, {"loss": "minimize"}),
        ("loss", "params"),
        **settings,
    )


def sampler(name, seed):
    if name == "predictor":  # a smaller pool takes a fifth of the time
        return optnas.PredictorSampler(n_candidates=30, n_checked=8, seed=seed)
    return make_sampler(name, seed)


def run(name, trials, study=None, seed=3, **settings):
    own = objective(**settings)
    study = study or optuna.create_study(directions=own.directions)
    study.sampler = sampler(name, seed)
    study.sampler.fill_in(own.suggest, own.preview)
    study.optimize(own, n_trials=trials)
    return study


def drawn(study):
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_trial_breaks_a_bound_that_is_known_before_training(name):
    study = run(name, 20, constraints={"params": BOUND})
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 20
    assert all(t.user_attrs["params"] <= BOUND for t in study.trials)
    # The bound decides: without it, the sampler draws others.
    assert any(t.user_attrs["params"] > BOUND for t in run(name, 12).trials)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_study_with_a_bound_resumes_exactly(name):
    whole = run(name, 14, constraints={"params": BOUND})
    half = run(name, 7, constraints={"params": BOUND})
    run(name, 7, half, constraints={"params": BOUND})
    assert drawn(half) == drawn(whole)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_bound_that_nothing_breaks_changes_nothing(name):
    assert drawn(run(name, 12, constraints={"params": 1e9})) == drawn(run(name, 12))


@pytest.mark.parametrize("name", ["evolution", "local_search", "reinforce", "qlearning"])
def test_a_trial_that_was_lost_between_two_draws_is_repeated_as_it_would_have_been(name):
    """The bound rejects attempts; the retry, which has one parameter fixed, comes to the same."""

    def started():
        own = objective(constraints={"params": BOUND})
        study = optuna.create_study(directions=own.directions, sampler=sampler(name, 3))
        study.sampler.fill_in(own.suggest, own.preview)
        run_trials(study, own, trials=12)
        return study, own

    def killed(trial):
        trial.suggest_int("depth", 1, 3)
        raise KeyboardInterrupt

    study, own = started()
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, killed, trials=15)
    run_trials(study, own, trials=15)
    whole, own = started()
    run_trials(whole, own, trials=15)
    assert study.trials[12].user_attrs[LOST]
    assert drawn(study)[13:] == drawn(whole)[12:]


def test_where_no_architecture_keeps_the_bound_the_nearest_is_tried():
    study = run("evolution", 2, constraints={"params": 3})
    assert [t.state for t in study.trials] == [TrialState.PRUNED] * 2
    assert min(t.user_attrs["params"] for t in study.trials) <= 10  # the least possible is 7


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_look_within_the_reference(name):
    """A limit of 60 params, of up to 641: more trials are within it than without a reference."""
    trials = 20 if name == "predictor" else 40  # its difference is the largest
    limits = {"params": 60.0, "loss": 0.03}

    def within(study):
        late = study.trials[trials // 2 :]
        return sum(t.values[0] <= 0.03 and t.values[1] <= 60 for t in late)

    seeds = (0, 1) if name == "evolution" else (0,)  # its difference is the smallest
    aimed = [within(run(name, trials, seed=seed, reference=limits)) for seed in seeds]
    free = [within(run(name, trials, seed=seed)) for seed in seeds]
    assert sum(aimed) >= sum(free) + 6, (aimed, free)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_study_with_a_reference_resumes_exactly(name):
    limits = {"params": 60.0, "loss": 0.03}
    half = run(name, 7, reference=limits)
    run(name, 7, half, reference=limits)
    assert drawn(half) == drawn(run(name, 14, reference=limits))


def test_trials_beyond_the_reference_rank_after_those_within_it_and_before_infeasible_ones():
    study = optuna.create_study(directions=["minimize", "maximize"])
    values = [(1.0, 0.2), (5.0, 0.9), (2.0, 0.6), (3.0, 0.5), (9.0, 0.6)]
    for value in values:
        study.add_trial(optuna.create_trial(values=value, constraints={"c": 0.0}))
    study.add_trial(optuna.create_trial(values=(0.0, 1.0), constraints={"c": 1.0}))
    order = best_first(study.trials, study.directions, torch.tensor([4.0, -0.5]).numpy())
    assert order[:2] == [2, 3]
    assert order[2:] == [1, 0, 4, 5]  # beyond by 1/4, 0.3/0.5 and 5/4


PARAMS = {"depth": 3, "layer1.width": 8, "layer2.width": 4, "layer3.width": 2}


def test_a_baseline_in_the_space_is_a_trial_that_samplers_learn_from():
    own = objective(
        baselines={"eight": PARAMS, "hand": lambda: build(optuna.trial.FixedTrial(PARAMS))}
    )
    study = optuna.create_study(directions=own.directions, sampler=make_sampler("evolution", 0))
    run_trials(study, own, trials=8, baselines=own.baseline_params)
    first, second, *others = study.trials
    assert (first.params, first.user_attrs[BASELINE]) == (PARAMS, "eight")
    assert (second.params, second.user_attrs[BASELINE]) == ({}, "hand")
    assert first.values == second.values
    kept = [sum(t.params.get(k) == v for k, v in PARAMS.items()) for t in others[::2]]
    assert all(kept), kept  # every other startup trial keeps a decision of the baseline
    history = study.sampler._open(study)
    history.update(others[0])
    assert first.number in [t.number for t in history.trials]
    assert second.number not in [t.number for t in history.trials]


def test_an_architecture_of_the_space_is_a_baseline():
    space = optnas.MLPSpace((4,), 1, depth=(1, 2), width=(4, 16), width_step=4)
    architecture = space.suggest(optuna.trial.FixedTrial(space_params(space)))
    evaluator = optnas.FunctionEvaluator(score, {"loss": "minimize"})
    own = optnas.Objective(space, evaluator, ("loss", "params"), baselines={"it": architecture})
    assert own.baseline_params == {"it": space.params_of(architecture)}
    small = optnas.MLPSpace((4,), 1, depth=(3, 3), width=(4, 16), width_step=4)
    with pytest.raises(InputError, match="isn't in the search space"):
        optnas.Objective(small, evaluator, ("loss", "params"), baselines={"it": architecture})


def space_params(space):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    space.suggest(trial)
    return trial.params


def test_a_lost_baseline_is_repeated_with_its_architecture():
    own = objective(baselines={"eight": PARAMS})
    study = optuna.create_study(directions=own.directions, sampler=make_sampler("evolution", 0))

    def killed(trial):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(study, killed, trials=1, baselines=own.baseline_params)
    assert study.trials[0].user_attrs[LOST]
    run_trials(study, own, trials=1, baselines=own.baseline_params)
    assert study.trials[1].user_attrs[RETRY_OF] == 0
    assert study.trials[1].params == PARAMS
    assert study.trials[1].user_attrs[BASELINE] == "eight"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"depth": 9, "layer1.width": 8}, "isn't in the search space"),
        ({"depth": 1}, "isn't in the search space"),
        ({"depth": 1, "layer1.width": 8, "layer2.width": 8}, r"draws no layer2\.width"),
        (3, "function that builds"),
    ],
)
def test_a_baseline_that_the_space_has_not_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        objective(baselines={"it": given})


def test_what_no_better_than_chance_never_gains():
    """Networks at chance don't become parents as soon as there are others."""
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.set_metric_names(["loss", "params"])
    keep_reference_point(study, "", {"loss": 0.5})
    for value in [(0.9, 1.0), (0.4, 50.0), (0.5001, 2.0)]:
        study.add_trial(optuna.create_trial(values=value))
    order = best_first(study.trials, study.directions, torch.tensor([0.5, float("inf")]).numpy())
    assert order == [1, 2, 0]
