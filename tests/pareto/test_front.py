import itertools
import math
import sys
import warnings

import numpy as np
import optuna
import pytest
from hypothesis import given, settings, strategies as st
from optuna._hypervolume import compute_hypervolume
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import create_trial

from optnas.cli.status_table import status_table
from optnas.pareto.front import complete_trials, feasible_trials, front, is_feasible
from optnas.pareto.reference_box import REFERENCE, keep_box
from optnas.pareto.snapshot import Snapshot
from optnas.pareto.study_hypervolume import hypervolume, hypervolume_history
from optnas.report.data import report_data
from optnas.study.attributes import ARCHITECTURE, BASELINE, DUPLICATE_OF
from optnas.study.objectives import objective_names
from optnas.study.reference import keep_reference_point
from optnas.study.trial_order import in_order_of_completion

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
    assert [t.number for t in front(study)] == brute_force(study)


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
    assert hypervolume(study) == pytest.approx(expected)


def kept_box(study):
    return study._storage.get_study_system_attrs(study._study_id).get(REFERENCE)


def test_the_reference_is_kept_once_there_are_ten_trials():
    study = random_study(n=9)
    assert not keep_box(study)
    assert kept_box(study) is None
    study.add_trial(create_trial(values=[0.5, 0.5, 0.5]))
    assert keep_box(study)
    before = hypervolume(study)
    study.add_trial(create_trial(values=[9.0, -9.0, 9.0]))  # worse than the reference
    assert hypervolume(study) == before
    study.add_trial(create_trial(values=[-9.0, 9.0, -9.0]))
    assert hypervolume(study) > 1


def test_two_trials_have_a_hypervolume():
    study = optuna.create_study(directions=["minimize", "maximize"])
    assert hypervolume(study) is None
    study.add_trial(create_trial(values=[1.0, 3.0]))
    assert hypervolume(study) == 1.0
    study.add_trial(create_trial(values=[2.0, 5.0]))
    # By hand, in extents of the two: the box ends at 1.1; each point covers 1.1 by 0.1 of it.
    assert hypervolume(study) == pytest.approx((1.1 * 0.1 + 0.1 * 1.1 - 0.1 * 0.1) / 1.21)
    assert hypervolume_history(study)[-1] == (2, hypervolume(study))


def test_it_is_said_what_a_hypervolume_is_measured_in():
    def text(study):
        return Snapshot.of(study).hypervolume_text()

    assert text(random_study(n=0)) == "none without a feasible COMPLETE trial"
    meaning = (
        "(1 = as good as one network with the best value of each objective among the first 10 "
        "feasible trials; more is possible"
    )
    assert meaning in text(random_study(n=12))
    study = random_study(n=12)
    keep_reference_point(study, {"objective 0": 0.5}, {})
    assert text(study).endswith(
        "trials; more is possible; only networks with objective 0 ≤ 0.5 count)"
    )
    study = optuna.create_study(directions=["minimize"] * 2)
    study.add_trial(create_trial(values=[math.inf, 1.0]))
    assert text(study) == "none: no feasible trial has a finite value of every objective"
    study.add_trial(create_trial(values=[-math.inf, 0.5]))
    study.add_trial(create_trial(values=[1.0, 2.0]))
    # A million extents of the box in one objective, (2.2 - 0.5) / 0.2 in the other one.
    assert hypervolume(study) == pytest.approx(8.5e6)
    for words in ("share", "%"):
        assert words not in text(random_study(n=12))


@pytest.mark.parametrize(("n", "there"), [(1, False), (9, False), (10, True)])
def test_a_hypervolume_is_shown_once_there_are_enough_trials_for_its_box(n, there):
    """That of one trial is 1, which would look like a perfect result."""
    study = random_study(n=n)
    assert bool(Snapshot.of(study).hypervolume_text()) == there
    assert ("hypervolume" in "".join(status_table(study).columns[0].cells)) == there
    assert ("Hypervolume" in report_data(study).facts) == there


@pytest.mark.parametrize("odd", [[math.inf, 99.0], [99.0, -math.inf], [-math.inf, math.inf]])
def test_an_infinite_value_spans_no_box(odd):
    rest = [[float(i), 40.0 - i] for i in range(40)]
    found = []
    for rows in ([odd, *rest], [*rest, odd]):
        study = optuna.create_study(directions=["minimize"] * 2)
        for row in rows:
            study.add_trial(create_trial(values=row))
        keep_box(study)
        found.append(hypervolume(study))
        assert hypervolume_history(study)[-1] == (41, pytest.approx(found[-1]))
    assert found[0] == found[1] > 0
    assert math.isfinite(found[0])


def test_a_history_never_falls_when_an_infinitely_good_value_comes():
    study = random_study(n=20, k=2)
    study.add_trial(create_trial(values=[-math.inf, 0.2]))
    values = [v for _, v in hypervolume_history(study)]
    assert all(b >= a for a, b in itertools.pairwise(values))
    assert values[-1] == hypervolume(study) > 1


@pytest.mark.parametrize("size", [1.0, sys.float_info.max, sys.float_info.min])
def test_a_hypervolume_has_no_units_whatever_their_size(size):
    rows = [[-1.0, 1.0], [-0.5, 0.25], [0.5, -0.5], [1.0, -1.0]]
    study = optuna.create_study(directions=["minimize"] * 2)
    for row in rows:
        study.add_trial(create_trial(values=[v * size for v in row]))
    points = np.array(rows)
    expected = compute_hypervolume(points, np.full(2, 1.2)) / 2.2**2
    if size > 1:  # no float is a tenth above the largest one
        expected = compute_hypervolume(points, np.full(2, 1.0)) / 2.0**2
    assert hypervolume(study) == pytest.approx(expected)


def test_hypervolume_of_studies_where_there_is_nothing_to_span():
    study = optuna.create_study(directions=["minimize"] * 2)
    for _ in range(12):
        study.add_trial(create_trial(values=[3.0, 5.0]))
    assert hypervolume(study) == pytest.approx(1.0)
    single = optuna.create_study()
    single.add_trial(create_trial(value=1.0))
    assert hypervolume(single) is None


def test_duplicates_are_represented_by_the_trial_they_repeat():
    study = optuna.create_study(directions=["minimize"] * 2)
    study.add_trial(create_trial(values=[1.0, 1.0]))
    study.add_trial(create_trial(values=[1.0, 1.0], user_attrs={DUPLICATE_OF: 0}))
    study.add_trial(create_trial(values=[1.0, 1.0]))
    assert [t.number for t in front(study)] == [0, 2]


def test_names_of_objectives():
    study = optuna.create_study(directions=["minimize"] * 2)
    assert objective_names(study) == ["objective 0", "objective 1"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.set_metric_names(["loss", "size"])
    assert objective_names(study) == ["loss", "size"]


@given(studies())
@settings(max_examples=40, deadline=None)
def test_history_ends_with_the_hypervolume_and_never_falls(study):
    history = hypervolume_history(study)
    volume = hypervolume(study)
    if volume is None:
        assert history == []
        return
    trials = in_order_of_completion(feasible_trials(study))
    assert history[-1] == (len(trials), pytest.approx(volume))
    assert [n for n, _ in history] == list(range(1, len(trials) + 1))
    values = [v for _, v in history]
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(values))


def test_history_is_by_completion_and_thinned_out():
    study = random_study(n=60)
    every = hypervolume_history(study)
    some = hypervolume_history(study, most=7)
    assert len(some) == 7
    assert [n for n, _ in some] == [1, 11, 21, 30, 40, 50, 60]
    assert all(dict(every)[n] == pytest.approx(v) for n, v in some)


def trial_of(values, name=None, excess=0.0, **attrs):
    attrs |= {} if name is None else {ARCHITECTURE: name}
    return create_trial(values=values, user_attrs=attrs, constraints={"c": excess})


def test_one_record_for_each_architecture():
    study = optuna.create_study(directions=["minimize", "maximize"])
    for trial in [
        trial_of([3.0, 3.0], "a"),
        trial_of([2.0, 1.0], "b", excess=1.0),
        trial_of([1.0, 4.0], "a"),
        trial_of([1.0, 4.0], "a", **{DUPLICATE_OF: 2}),
        trial_of([2.0, 1.0], "b"),
        trial_of([5.0, 5.0], "baseline net", **{BASELINE: "net"}),
        create_trial(values=[9.0, 0.0]),
        create_trial(values=[9.0, 0.0]),
        create_trial(state=optuna.trial.TrialState.FAIL, user_attrs={ARCHITECTURE: "c"}),
    ]:
        study.add_trial(trial)
    found = Snapshot.of(study).architectures
    assert [(e.architecture, e.trial.number, e.trials) for e in found] == [
        ("a", 2, (0, 2, 3)),
        ("b", 4, (1, 4)),
        ("baseline net", 5, (5,)),
        ("(no parameters)", 6, (6,)),
        ("(no parameters)", 7, (7,)),
    ]
    assert [e.on_front for e in found] == [True, False, True, False, False]
    assert [e.baseline for e in found] == [None, None, "net", None, None]


def test_parameters_that_only_look_alike_are_other_architectures():
    study = optuna.create_study()
    choices = CategoricalDistribution([0, "0", None, "None", "0 b=1"])
    for value in (0, "0", None, "None", 0, "0 b=1"):
        study.add_trial(create_trial(value=1.0, params={"a": value}, distributions={"a": choices}))
    both = {"a": choices, "b": IntDistribution(1, 2)}
    study.add_trial(create_trial(value=1.0, params={"a": "0", "b": 1}, distributions=both))
    found = {e.architecture: e.trials for e in Snapshot.of(study).architectures}
    assert found == {
        "a=0": (0, 4),
        "a='0'": (1,),
        "a=None": (2,),
        "a='None'": (3,),
        "a='0 b=1'": (5,),
        "a='0' b=1": (6,),
    }


@given(studies())
@settings(max_examples=40, deadline=None)
def test_records_hold_every_complete_trial_once(study):
    found = Snapshot.of(study).architectures
    numbers = [n for e in found for n in e.trials]
    assert sorted(numbers) == [t.number for t in complete_trials(study)]
    assert all(e.feasible == is_feasible(e.trial) for e in found)
    assert {e.trial.number for e in found if e.on_front} == {t.number for t in front(study)}


def test_which_members_of_the_front_dominate_a_baseline():
    study = optuna.create_study(directions=["minimize", "maximize"])
    for values, name in [
        ([1.0, 1.0], None),
        ([2.0, 3.0], None),
        ([3.0, 4.0], "slow"),
        ([2.5, 3.0], "beaten"),
        ([4.0, 0.5], "twice"),
        ([2.0, 3.0], "level"),
    ]:
        attrs = {} if name is None else {BASELINE: name, ARCHITECTURE: f"baseline {name}"}
        study.add_trial(create_trial(values=values, user_attrs=attrs))
    found = {r.baseline: list(r.dominated_by) for r in Snapshot.of(study).baselines}
    assert found == {"slow": [], "beaten": [1, 5], "twice": [0, 1, 2, 5], "level": []}


def test_a_snapshot_of_a_snapshot_is_itself():
    seen = Snapshot.of(random_study())
    assert Snapshot.of(seen) is seen


def test_a_snapshot_stays_as_it_was():
    study = random_study()
    seen = Snapshot.of(study)
    study.add_trial(create_trial(values=[-1.0, 2.0, -1.0]))
    assert len(seen.architectures) == 30
    assert [t.number for t in Snapshot.of(study).front] == [30]
    assert [t.number for t in seen.front] != [30]


@given(studies())
@settings(max_examples=30, deadline=None)
def test_a_snapshot_agrees_with_the_functions_of_a_study(study):
    seen = Snapshot.of(study)
    assert seen.complete == complete_trials(study)
    assert seen.feasible == feasible_trials(study)
    assert seen.front == front(study)
    assert seen.hypervolume == hypervolume(study)
