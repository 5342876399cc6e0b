import warnings

import numpy as np
import optuna
import pytest
from hypothesis import given, settings, strategies as st
from optuna._hypervolume import compute_hypervolume
from optuna.study import StudyDirection
from optuna.trial import create_trial

from optnas import pareto
from optnas.trials import DUPLICATE_OF

DIRECTIONS = st.lists(st.sampled_from(["minimize", "maximize"]), min_size=1, max_size=4)


@st.composite
def studies(draw):
    """Studies with ties, repeated points, infeasible, pruned and failed trials."""
    directions = draw(DIRECTIONS)
    study = optuna.create_study(directions=directions)
    value = st.integers(-3, 3).map(float)
    rows = draw(st.lists(st.tuples(st.lists(value, min_size=len(directions),
                                            max_size=len(directions)),
                                   st.sampled_from("CCCCIPF")), max_size=14))  # fmt: skip
    for values, kind in rows:
        if kind in "CI":
            study.add_trial(
                create_trial(values=values, constraints={"c": 1.0 if kind == "I" else 0.0})
            )
        else:
            state = {"P": optuna.trial.TrialState.PRUNED, "F": optuna.trial.TrialState.FAIL}[kind]
            study.add_trial(create_trial(state=state))
    return study


def brute_force(study):
    trials = [
        t
        for t in study.trials
        if t.state == optuna.trial.TrialState.COMPLETE and t.constraints["c"] <= 0
    ]
    signs = np.array([-1 if d == StudyDirection.MAXIMIZE else 1 for d in study.directions])
    points = {t.number: np.array(t.values) * signs for t in trials}
    return [
        n
        for n, p in points.items()
        if not any((q <= p).all() and (q < p).any() for q in points.values())
    ]


@given(studies())
@settings(max_examples=60, deadline=None)
def test_front_equals_brute_force(study):
    assert [t.number for t in pareto.front(study)] == brute_force(study)


def random_study(n=30, k=3, seed=0):
    rng = np.random.default_rng(seed)
    study = optuna.create_study(directions=["minimize", "maximize", "minimize"][:k])
    for row in rng.random((n, k)):
        study.add_trial(create_trial(values=row.tolist()))
    return study


@pytest.mark.parametrize("seed", range(3))
def test_hypervolume_equals_optunas(seed):
    study = random_study(seed=seed)
    points = np.array([t.values for t in study.trials]) * [1, -1, 1]
    ideal, worst = points[:10].min(0), points[:10].max(0)
    reference = worst + 0.1 * (worst - ideal)
    scaled = (points - ideal) / (reference - ideal)
    expected = compute_hypervolume(scaled[(scaled < 1).all(1)], np.ones(3))
    assert pareto.hypervolume(study) == pytest.approx(expected)


def test_the_reference_is_kept_once_there_are_ten_trials():
    study = random_study(n=9)
    assert pareto.hypervolume(study) is None
    pareto.keep_reference(study)
    assert pareto.hypervolume(study) is None
    study.add_trial(create_trial(values=[0.5, 0.5, 0.5]))
    pareto.keep_reference(study)
    before = pareto.hypervolume(study)
    study.add_trial(create_trial(values=[9.0, -9.0, 9.0]))  # worse than the reference
    assert pareto.hypervolume(study) == before
    study.add_trial(create_trial(values=[-9.0, 9.0, -9.0]))
    assert pareto.hypervolume(study) > 1


def test_hypervolume_of_studies_where_there_is_nothing_to_span():
    study = optuna.create_study(directions=["minimize"] * 2)
    for _ in range(12):
        study.add_trial(create_trial(values=[3.0, 5.0]))
    assert pareto.hypervolume(study) == pytest.approx(1.0)
    single = optuna.create_study()
    single.add_trial(create_trial(value=1.0))
    assert pareto.hypervolume(single) is None


def test_duplicates_are_represented_by_the_trial_they_repeat():
    study = optuna.create_study(directions=["minimize"] * 2)
    study.add_trial(create_trial(values=[1.0, 1.0]))
    study.add_trial(create_trial(values=[1.0, 1.0], user_attrs={DUPLICATE_OF: 0}))
    study.add_trial(create_trial(values=[1.0, 1.0]))
    assert [t.number for t in pareto.front(study)] == [0, 2]


def test_names_of_objectives():
    study = optuna.create_study(directions=["minimize"] * 2)
    assert pareto.objective_names(study) == ["objective 0", "objective 1"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.set_metric_names(["loss", "size"])
    assert pareto.objective_names(study) == ["loss", "size"]
