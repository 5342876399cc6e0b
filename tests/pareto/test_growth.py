"""What the latest trials added, and when a study is flat."""

import math

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from optnas.pareto.growth import growth, is_flat
from optnas.pareto.reference_box import keep_box
from optnas.pareto.study_hypervolume import hypervolume
from optnas.study.attributes import BASELINE, LOST, STOPPED
from optnas.study.objectives import name_objectives
from optnas.study.reference import keep_reference_point
from optnas.study.trial_order import PRECEDES

TEN = [[float(i), 10.0 - i] for i in range(1, 11)]
"""Ten trials of one front; their box reaches from (1, 0) to (10.9, 9.9)."""


def make(rows, directions=("minimize", "minimize")):
    study = optuna.create_study(directions=list(directions))
    name_objectives(study, ["loss", "size"][: len(directions)])
    for row in rows:
        study.add_trial(create_trial(values=row))
    return study


def test_the_growth_is_that_of_the_hypervolume():
    study = make(TEN)
    keep_box(study)
    before = hypervolume(study)
    for row in [[3.0, 3.0], [9.0, 9.0]]:
        study.add_trial(create_trial(values=row))
    found = growth(study, 2)
    assert found.share == pytest.approx(hypervolume(study) / before - 1)
    # By hand: of the box's cells, (3, 3) takes those that (3, 7) to (6, 4) left, without overlap.
    extra = (4 - 3) * (7 - 3) + (5 - 4) * (6 - 3) + (6 - 5) * (5 - 3) + (7 - 6) * (4 - 3)
    assert found.share == pytest.approx(extra / (9.9**2 * before))
    assert f"the last 2 trials added {found.share:.1%} to the hypervolume" in found.text
    assert growth(study, 1).share == 0
    assert is_flat(study, 1)
    assert not is_flat(study, 2)
    assert not is_flat(study, 0)


def test_a_study_is_not_flat_before_more_trials_count_than_are_looked_at():
    study = make(TEN + [TEN[0]] * 10)
    assert not is_flat(study, 20)
    study.add_trial(create_trial(values=TEN[0]))
    assert not is_flat(study, 20)  # one trial is the front before, and nine add to it
    for _ in range(9):
        study.add_trial(create_trial(values=TEN[0]))
    assert is_flat(study, 20)


def test_a_study_is_not_flat_before_ten_networks_span_its_box():
    study = make([TEN[0]] * 9)
    assert growth(study, 3) is None
    for broken in (1.0, 1.0, 0.0):
        assert not is_flat(study, 3)
        study.add_trial(create_trial(values=TEN[0], constraints={"c": broken}))
    assert is_flat(study, 3)


def test_trials_that_do_not_count_are_passed_over_and_stopped_ones_count():
    study = make([*TEN, [0.5, 0.5]])
    assert not is_flat(study, 3)
    for attributes in ({"failure": "x"}, {LOST: "killed"}):
        for _ in range(3):
            study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=attributes))
    for _ in range(3):
        study.add_trial(create_trial(state=TrialState.PRUNED))
    assert not is_flat(study, 3)
    for _ in range(3):
        study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs={STOPPED: {}}))
    assert is_flat(study, 3)


def test_what_was_found_last_counts_by_the_order_of_the_ends():
    study = make([])
    late = create_trial(values=[0.5, 0.5], system_attrs={PRECEDES: 40})
    for trial in [late, *(create_trial(values=row) for row in TEN + TEN)]:
        study.add_trial(trial)
    assert not is_flat(study, 5)


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "minimize"]])
def test_nothing_is_flat_while_no_network_lies_within_the_reference(directions):
    k = len(directions)
    study = make([[5.0] * k] * 30, directions)
    keep_reference_point(study, {"loss": 1.0}, {})  # a study with trials keeps what is given
    assert growth(study, 10) is None
    study.add_trial(create_trial(values=[0.9] * k))
    found = growth(study, 10)
    assert found.share == math.inf
    assert "first networks within the reference" in found.text
    for _ in range(9):
        study.add_trial(create_trial(values=[0.9] * k))
    assert not is_flat(study, 10)
    study.add_trial(create_trial(values=[0.9] * k))
    assert is_flat(study, 10)


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_one_objective_is_flat_by_the_range_of_its_values(direction, sign):
    # The best is 1, and the median of the thirteen values is 5: one that failed to learn, 10^6,
    # doesn't make the range large.
    rows = [[sign * v] for v in (1.0, 2, 3, 4, 5, 5, 5, 6, 7, 8, 9, 1e6)]
    study = make(rows, [direction])
    study.add_trial(create_trial(values=[sign * 0.965]))
    found = growth(study, 1)
    assert found.share == pytest.approx(0.035 / 4)
    assert found.text == (
        f"the last trial improved the best loss by 0.9% of its range ({sign} before, "
        f"{sign * 0.965} now)"
    )
    assert is_flat(study, 1)
    study.add_trial(create_trial(values=[sign * 0.92]))
    assert growth(study, 1).share == pytest.approx(0.045 / (5 - 0.965))
    assert not is_flat(study, 1)


def test_the_range_of_one_objective_ends_at_the_reference():
    study = make([[1.0], *[[5.0]] * 20], ["minimize"])
    keep_reference_point(study, {"loss": 2.0}, {})
    study.add_trial(create_trial(values=[0.98]))
    assert growth(study, 1).share == pytest.approx(0.02 / 1)


def test_one_objective_whose_values_are_all_equal_or_infinite():
    study = make([[1.0]] * 12 + [[math.inf]] * 3, ["minimize"])
    assert is_flat(study, 5)
    study.add_trial(create_trial(values=[0.999]))
    assert growth(study, 1).share == math.inf
    assert not is_flat(make([[math.inf]] * 40, ["minimize"]), 5)


def test_baselines_are_the_reference_here_too():
    study = make([])
    keep_reference_point(study, "", {})
    study.add_trial(create_trial(values=[2.0, 2.0], user_attrs={BASELINE: "mine"}))
    for _ in range(20):
        study.add_trial(create_trial(values=[1.0, 3.0]))
    assert not is_flat(study, 10)
    study.add_trial(create_trial(values=[1.0, 1.0]))
    for _ in range(10):
        study.add_trial(create_trial(values=[1.0, 3.0]))
    assert is_flat(study, 10)
