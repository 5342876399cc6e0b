"""Stops trainings that can't reach the front any more, and no others."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, strategies as st
from optuna.trial import TrialState, create_trial
from torch import nn

import optnas
from optnas.evaluators import FunctionEvaluator
from optnas.objective.early_stopping import LEAST_CURVES, EarlyStopping, prospects
from optnas.runs.loop import run_trials
from optnas.samplers.ranking import at_best
from optnas.search_spaces import FunctionSpace
from optnas.study.attributes import BASELINE, CURVE, DUPLICATE_OF, PRUNED, STOPPED

HALVES = (1.0, 0.5, 0.25)
"""The curve of the networks that are trained first: each step halves what is left."""
SPACE = FunctionSpace(
    lambda trial: nn.Linear(1, trial.suggest_int("width", 1, 99)), torch.zeros(1, 1)
)


def trained(curves, *, objectives=("loss", "params"), score="loss", direction="minimize", **kwargs):
    """An objective whose networks learn along the curve of their width, HALVES by default."""

    def fit(model, recipe, report):
        curve = curves.get(model.out_features, HALVES)
        for step, value in enumerate(curve):
            report(step, {} if value is None else {score: value})
        return {score: curve[-1]}

    evaluator = FunctionEvaluator(fit, {score: direction})
    return optnas.Objective(
        SPACE, evaluator, objectives, **{"early_stop": True, "seed": 0, **kwargs}
    )


def study_of(objective, widths, study=None):
    """Trains networks of these widths, one after the other."""
    study = study or optuna.create_study(
        directions=objective.directions, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    for width in widths:
        study.enqueue_trial({"width": width})
    study.optimize(objective, n_trials=len(widths))
    return study


FIRST = range(1, LEAST_CURVES + 1)


def test_a_training_that_cannot_reach_the_front_is_stopped():
    """After the second step 0.8 may still become 0.4, and the smaller width 1 has 0.25."""
    study = study_of(trained({50: (0.9, 0.8, 0.1)}), [*FIRST, 50])
    *first, last = study.trials
    assert {t.state for t in first} == {TrialState.COMPLETE}
    assert last.state == TrialState.PRUNED
    assert last.user_attrs[CURVE] == [{"step": 0, "loss": 0.9}, {"step": 1, "loss": 0.8}]
    assert last.user_attrs["params"] == 100
    assert last.user_attrs[STOPPED] == {
        "step": 1,
        "at_best": [0.4, 100.0],
        "dominated_by": 0,
    }
    assert last.user_attrs[PRUNED] == (
        "stopped after epoch 2: at best it ends with loss 0.4 (no more did any of 8 finished "
        "trials improve from there), and trial 0 dominates even that"
    )


@pytest.mark.parametrize(
    "curve",
    [
        (0.9, 0.4, 0.2),  # ends on the front
        (0.9, 0.45, 0.9),  # might have
        (0.1, 9.0, 9.0),  # its best value so far is what counts
    ],
)
def test_a_training_that_may_end_on_the_front_continues(curve):
    study = study_of(trained({50: curve}), [*FIRST, 50])
    assert study.trials[-1].state == TrialState.COMPLETE


def test_a_network_cheaper_than_all_others_is_never_stopped():
    study = study_of(trained({1: (9.0, 9.0, 9.0)}), [*range(2, 12), 1])
    assert study.trials[-1].state == TrialState.COMPLETE


def test_the_largest_improvement_of_all_is_the_measure():
    curves = {1: (1.0, 1.0, 0.2), 50: (0.9, 0.9, 0.9), 60: (1.1, 1.1, 1.1)}
    study = study_of(trained(curves), [*FIRST, 50, 60])
    *_, near, far = study.trials
    assert near.state == TrialState.COMPLETE
    assert far.user_attrs[STOPPED]["step"] == 0


def test_nothing_is_stopped_after_too_few_trials():
    study = study_of(trained({50: (9.0, 9.0, 9.0)}), [*FIRST[:-1], 50])
    assert study.trials[-1].state == TrialState.COMPLETE


def test_repeats_have_no_curve_of_their_own():
    study = study_of(trained({50: (9.0, 9.0, 9.0)}), [1, 2, 3, 1, 2, 3, 1, 2, 3, 50])
    assert study.trials[-1].state == TrialState.COMPLETE


def test_nothing_is_stopped_at_its_last_step():
    study = study_of(trained({50: (0.9, 0.4, 0.4)}), [*FIRST, 50])
    assert study.trials[-1].state == TrialState.COMPLETE


@pytest.mark.parametrize("curve", [(None, 9.0, 9.0), (float("nan"), 9.0, 9.0)])
def test_a_score_that_is_not_known_at_every_step_stops_nothing(curve):
    study = study_of(trained({50: curve}), [*FIRST, 50])
    assert study.trials[-1].state == TrialState.COMPLETE


def test_an_evaluator_without_curves_stops_no_trial():
    evaluator = FunctionEvaluator(lambda m, *_: {"loss": m.out_features}, {"loss": "minimize"})
    objective = optnas.Objective(SPACE, evaluator, ("loss", "params"), early_stop=True)
    study = study_of(objective, range(1, 20))
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def test_a_score_that_is_maximised():
    curves = dict.fromkeys(FIRST, (0.2, 0.6, 0.8)) | {50: (0.3, 0.5, 0.9), 60: (0.3, 0.7, 0.7)}
    objective = trained(
        curves, objectives=("accuracy", "params"), score="accuracy", direction="maximize"
    )
    *_, hopeless, promising = study_of(objective, [*FIRST, 50, 60]).trials
    assert hopeless.user_attrs[STOPPED]["at_best"] == pytest.approx([0.75, 100])
    assert promising.state == TrialState.COMPLETE


def test_with_one_objective_the_score_alone_counts():
    objective = trained({50: (0.9, 0.8, 0.1), 60: (0.9, 0.4, 0.2)}, objectives=("loss",))
    *_, hopeless, promising = study_of(objective, [*FIRST, 50, 60]).trials
    assert hopeless.user_attrs[STOPPED]["at_best"] == [0.4]
    assert promising.state == TrialState.COMPLETE


def test_a_network_that_breaks_a_bound_stops_no_other():
    curves = {1: (0.2, 0.1, 0.05)} | dict.fromkeys(range(40, 51), (1.2, 1.2, 1.2))
    for bound, state in ((None, TrialState.PRUNED), (2.0, TrialState.COMPLETE)):
        constraints = {} if bound is None else {"loss": 1.0}
        objective = trained(curves, constraints=constraints)
        study = study_of(objective, [*range(40, 49), 50])
        assert study.trials[-1].state == (TrialState.COMPLETE if bound else state)


def test_baselines_are_trained_to_the_end():
    objective = trained({50: (9.0, 9.0, 9.0)}, baselines={"wide": lambda: nn.Linear(1, 50)})
    study = study_of(objective, FIRST)
    study.enqueue_trial({}, user_attrs={BASELINE: "wide"})
    study.optimize(objective, n_trials=1)
    assert study.trials[-1].values == [9.0, 100.0]


def test_a_stopped_training_is_not_repeated():
    curves = {50: (0.9, 0.8, 0.1)}
    study = study_of(trained(curves), [*FIRST, 50, 50])
    first, again = study.trials[-2:]
    assert again.user_attrs[DUPLICATE_OF] == first.number
    assert again.user_attrs[STOPPED] == first.user_attrs[STOPPED]
    assert again.user_attrs[PRUNED] == "trial 8 was the same, and was stopped early"
    assert CURVE not in again.user_attrs
    study_of(trained(curves, early_stop=False), [50], study)  # switched off: it is trained
    assert study.trials[-1].values == [0.1, 100.0]


def test_a_retry_is_stopped_by_the_whole_curve():
    """It resumes from a checkpoint, whose curve has a better value than the epochs after it."""

    def fit(model, recipe, report):
        if model.out_features == 50:
            report.curve[:] = [{"step": 0, "loss": 0.3}]
            report(1, {"loss": 9.0})
            return {"loss": 9.0}
        for step, value in enumerate(HALVES):
            report(step, {"loss": value})
        return {"loss": HALVES[-1]}

    objective = optnas.Objective(
        SPACE, FunctionEvaluator(fit, {"loss": "minimize"}), ("loss", "params"), early_stop=True
    )
    study = study_of(objective, [*FIRST, 50])
    assert study.trials[-1].state == TrialState.COMPLETE


def test_a_stopped_trial_leaves_no_checkpoint(tmp_path):
    def fit(model, recipe, report):
        report.folder.mkdir(parents=True)
        for step in range(3):
            report(step, {"loss": HALVES[step] * model.out_features})
        return {"loss": HALVES[-1] * model.out_features}

    objective = optnas.Objective(
        SPACE,
        FunctionEvaluator(fit, {"loss": "minimize"}),
        ("loss", "params"),
        checkpoints=tmp_path / "checkpoints",
        early_stop=True,
    )
    study = study_of(objective, range(1, 12))
    assert study.trials[-1].state == TrialState.PRUNED
    assert not (tmp_path / "checkpoints").exists()


def test_each_study_has_curves_of_its_own():
    objective = trained({50: (9.0, 9.0, 9.0)})
    study_of(objective, FIRST)
    assert study_of(objective, [1, 50]).trials[-1].state == TrialState.COMPLETE


def searched(**changes):
    """A search most of whose networks are hopeless: the wider, the worse."""

    def fit(model, recipe, report):
        for step, value in enumerate(HALVES):
            report(step, {"loss": value * model.out_features})
        return {"loss": HALVES[-1] * model.out_features}

    settings = {"sampler": "random", "seed": 0, "name": "early", "early_stop": True, "trials": 20}
    return optnas.Search(
        space=SPACE,
        evaluator=FunctionEvaluator(fit, {"loss": "minimize"}),
        objectives=("loss", "params"),
        weights=False,
        **settings | changes,
    )


def test_stopped_trials_count():
    search = searched(storage=optuna.storages.InMemoryStorage())
    study = search.run(progress=False)
    states = [t.state for t in study.trials]
    assert len(states) == 20
    assert 8 < states.count(TrialState.PRUNED) == sum(STOPPED in t.user_attrs for t in study.trials)
    assert replace(search, trials=30).run(progress=False).trials[29].number == 29
    assert len(study.trials) == 30


def test_a_trial_that_another_worker_stops_counts(monkeypatch):
    from others import running

    study = optuna.create_study(directions=["minimize"] * 2)
    other = running(study)

    def end(_):
        other.set_user_attr(STOPPED, {})
        study.tell(other, state=TrialState.PRUNED)

    monkeypatch.setattr("optnas.runs.loop.time.sleep", end)
    run_trials(study, trained({}), trials=3)
    assert [t.state.name for t in study.trials] == ["PRUNED", "COMPLETE", "COMPLETE"]


def test_a_resumed_study_is_as_one_that_ran_through_and_early_stop_may_change():
    whole = searched(name="whole", trials=15).run(progress=False)
    for trials in (3, 11, 15):
        cut = searched(name="cut", trials=trials).run(progress=False)
    assert [t.values for t in cut.trials] == [t.values for t in whole.trials]
    assert [t.user_attrs.get(STOPPED) for t in cut.trials] == [
        t.user_attrs.get(STOPPED) for t in whole.trials
    ]
    on = searched(name="cut", trials=17, early_stop=False).run(progress=False)
    assert {t.state for t in on.trials[15:]} == {TrialState.COMPLETE}


def test_the_predictor_learns_what_a_stopped_trial_could_have_reached():
    trial = study_of(trained({50: (0.9, 0.8, 0.1)}), [*FIRST, 50]).trials[-1]
    learned = at_best(trial)
    assert (learned.state, learned.values) == (TrialState.COMPLETE, [0.4, 100.0])
    assert learned.params == trial.params
    assert trial.state == TrialState.PRUNED


# The gradient sampler trains a network itself, which a function can't; it learns from no trial.
@pytest.mark.parametrize(
    "sampler", [name for name in optnas.samplers.SAMPLERS if name != "gradient"]
)
def test_every_sampler_works_with_stopped_trials(sampler):
    memory = optuna.storages.InMemoryStorage()
    study = searched(sampler=sampler, trials=13, storage=memory).run(progress=False)
    assert sum(STOPPED in t.user_attrs for t in study.trials) > 0
    assert len(study.trials) == 13
    if sampler in ("predictor", "evolution", "local_search", "reinforce", "qlearning"):
        assert len({t.params["width"] for t in study.trials}) == 13


def test_the_choice_is_a_truth_value():
    with pytest.raises(TypeError, match="early_stop must be True or False, got 'yes'"):
        searched(early_stop="yes")


@pytest.mark.parametrize(
    ("now", "before", "after", "maximized", "ends"),
    [
        (0.4, [1.0, 0.5], [0.5, 0.4], False, [0.2, 0.32]),  # losses: the same factor
        (-0.5, [-0.2, -0.6], [-0.6, -0.9], True, [-0.75, -0.875]),  # shares: of what is missing
        (-20.0, [-10.0, -15.0], [-40.0, -15.0], True, [-50.0, -20.0]),  # else the difference
        (-1.0, [1.0, 2.0], [-1.0, 2.0], False, [-3.0, -1.0]),
        (0.5, [0.0], [0.0], False, [0.5]),  # there was nothing left to improve
    ],
)
def test_prospects(now, before, after, maximized, ends):
    found = prospects(now, np.array(before), np.array(after), maximized=maximized)
    assert found == pytest.approx(np.array(ends))


VALUES = st.integers(1, 1000).map(lambda n: n / 100)
CURVES = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=9, max_size=16)


@given(CURVES, st.lists(st.integers(1, 9), min_size=16, max_size=16))
def test_a_trial_that_ends_on_the_front_by_a_known_improvement_is_never_stopped(curves, costs):
    """Whatever the curves are: from no step on, the last one improves more than any other did."""
    *finished, (first, second, _) = curves
    least = max(
        first * min(end / a for a, _, end in finished),
        min(first, second) * min(end / min(a, b) for a, b, end in finished),
    )
    *finished, last = [*finished, (first, second, least * (1 + 1e-9))]
    study = optuna.create_study(directions=["minimize"] * 2)
    for curve, cost in zip([*finished, last], costs, strict=False):
        rows = [{"step": step, "loss": value} for step, value in enumerate(curve)]
        values = [curve[-1], float(cost)]
        study.add_trial(create_trial(values=values, user_attrs={CURVE: rows}))
    on_front = study.trials[-1] in study.best_trials
    known = study.trials[:-1]

    study = optuna.create_study(directions=["minimize"] * 2)
    study.add_trials(known)
    stopping = EarlyStopping({"loss": "minimize", "cost": "minimize"}, ["loss"])
    trial = study.ask()
    stopped = False
    for seen in (1, 2, 3):
        try:
            stopping.check(trial, {"cost": values[1]}, rows[:seen])
        except optuna.TrialPruned:
            stopped = True
    assert not (stopped and on_front)
