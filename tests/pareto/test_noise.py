"""Members of a front that are there by noise."""

import io
import itertools

import optuna
import pytest
from hypothesis import given, strategies as st
from optuna.study import StudyDirection
from rich.console import Console

from optnas.cli.front_table import front_table
from optnas.cli.pick_table import pick_table
from optnas.pareto.noise import error, interval, with_error, within_noise
from optnas.pareto.pick import pick


def shown(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()


NAMES, DIRECTIONS = ["loss", "ms"], [StudyDirection.MINIMIZE] * 2


def study_of(*members):
    """A study of (loss, ms, half width of the interval of ms)."""
    study = optuna.create_study(directions=["minimize"] * 2)
    study.set_metric_names(NAMES)
    for loss, ms, half in members:
        attrs = {"detail:ms": {"interval": [ms - half, ms + half]}} if half else {}
        study.add_trial(optuna.create_trial(values=(loss, ms), user_attrs=attrs))
    return study


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([(0.5, 1.01, 0.1), (0.6, 1.0, 0.1)], {1: 0}),  # 1 % quicker, ±10 %, and a worse loss
        ([(0.5, 1.01, 0), (0.6, 1.0, 0)], {}),  # exact: a true member
        ([(0.5, 1.3, 0.1), (0.6, 1.0, 0.1)], {}),  # surely quicker
        ([(0.5, 1.1, 0.1), (0.5, 1.0, 0.1)], {}),  # nothing is surely better
        ([(0.5, 1.2, 0.1), (0.6, 1.0, 0.0)], {}),
        ([(0.5, 1.2, 0.2), (0.6, 1.0, 0.0)], {1: 0}),
    ],
)
def test_a_member_that_is_better_by_noise_alone_is_named(members, expected):
    study = study_of(*members)
    assert within_noise(study.trials, NAMES, DIRECTIONS) == expected


POINT = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2))


@given(st.lists(POINT, min_size=1, max_size=8))
def test_it_is_dominance_where_nothing_is_noisy_and_never_mutual(members):
    study = study_of(*members)
    found = within_noise(study.trials, NAMES, DIRECTIONS)
    for i, j in itertools.product(range(len(members)), repeat=2):
        (a, x, h), (b, y, k) = members[i], members[j]
        by = a <= b and x - h <= y + k and (a < b or x + h < y - k)
        if by and any(m[2] for m in members):
            assert j in found
        assert not (found.get(j) == i and found.get(i) == j)


def test_pick_passes_over_a_member_within_noise():
    study = study_of((0.5, 1.01, 0.1), (0.6, 1.0, 0.1), (0.1, 9.0, 0.1))
    picked = pick(study, weights={"ms": -1.0})
    assert picked.entry.number == 0
    assert " on the front; 1 more is there only by noise" in picked.why
    exact = study_of((0.5, 1.01, 0), (0.6, 1.0, 0), (0.1, 9.0, 0))
    assert pick(exact, weights={"ms": -1.0}).entry.number == 1


def test_the_table_of_the_front_says_what_within_noise_of_another_trial_means():
    meaning = "within noise of: that trial is surely better in something, and this one is ahead of"
    table = shown(front_table(study_of((0.5, 1.01, 0.1), (0.6, 1.0, 0.1))))
    assert meaning in " ".join(table.split())
    assert "within noise" not in shown(front_table(study_of((0.5, 1.01, 0), (0.6, 1.0, 0))))


def test_the_best_and_the_worst_have_their_error_too():
    study = study_of((0.5, 2.0, 0.2), (0.7, 1.0, 0.5), (0.2, 4.0, 1.0))
    (row,) = (line for line in shown(pick_table(study, pick(study))).splitlines() if "ms" in line)
    assert row.split() == ["ms", "2", "±10%", "1", "±50%", "4", "±25%"]


def test_an_error_is_that_of_the_side_which_does_not_end_at_0():
    detail = {"detail:ms": {"interval": [0.0, 2.5]}}
    trial = optuna.create_trial(values=[0.5, 1.0], user_attrs=detail)
    assert with_error(trial, "ms", 1.0, "1") == "1 ±150%"


def test_pick_says_where_an_interval_reaches_beyond_a_limit():
    study = study_of((0.5, 0.565, 3.0), (0.7, 0.1, 0.0))
    picked = pick(study, at_most={"ms": 1.0, "loss": 0.6})
    beyond = "; but the 95 % interval reaches beyond the limit: ms (-2.435 to 3.565)"
    assert picked.why.endswith(f"with ms ≤ 1, loss ≤ 0.6{beyond}")
    assert "±531%" in shown(pick_table(study, picked))
    picked = pick(study, at_least={"ms": 0.5})
    assert picked.why.endswith(beyond)
    assert "interval" not in pick(study, at_most={"ms": 4.0}).why
    assert "interval" not in pick(study, at_most={"ms": 0.2}).why


@pytest.mark.parametrize("kept", [None, 3, {}, {"interval": [1]}, {"interval": ["a", 2]}])
def test_what_is_no_interval_is_none(kept):
    trial = optuna.create_trial(value=1.0, user_attrs={"detail:ms": kept})
    assert interval(trial, "ms") is None
    assert error(trial, "ms", 1.0) == 0.0
