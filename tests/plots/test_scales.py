"""Axes: which part of one is shown at first."""

import pytest
from hypothesis import given, strategies as st

from optnas.plots.scales import focused_axis

ACCURACIES = [0.90, 0.89, 0.88, 0.885, 0.87, 0.895, 0.86, 0.88, 0.85]


def test_a_network_that_learned_nothing_does_not_squeeze_the_others():
    axis = focused_axis("accuracy", True, [*ACCURACIES, 0.1])
    low, high = axis["range"]
    assert low == pytest.approx(0.85 - 0.06 * 0.05)
    assert high == pytest.approx(0.90 + 0.06 * 0.05)
    assert "range" not in focused_axis("accuracy", True, ACCURACIES)
    assert "range" not in focused_axis("accuracy", True, [*ACCURACIES[:6], 0.1])  # too few
    assert "range" not in focused_axis("accuracy", True, [0.9] * 9 + [0.1])  # nothing is left


def test_a_baseline_is_shown_wherever_it_lies():
    low, _ = focused_axis("accuracy", True, [*ACCURACIES, 0.7, 0.1], shown=[0.7])["range"]
    assert 0.1 < low < 0.7


def test_what_is_far_better_is_shown():
    assert "range" not in focused_axis("loss", False, [*(1 - x for x in ACCURACIES), 1e-3])


def test_the_range_of_a_logarithmic_axis_is_in_decades():
    values = [10.0 * 2**i for i in range(9)]
    axis = focused_axis("flops", False, [*values, 1e12])
    assert axis["type"] == "log"
    low, high = axis["range"]
    assert low < 1.0
    assert 3.4 < high < 4


@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30),
    st.booleans(),
    st.lists(st.sampled_from([0.0, 1.0, 1e299]), max_size=2),
)
def test_the_better_half_is_always_shown(values, maximized, shown):
    axis = focused_axis("x", maximized, [*values, *shown], shown)
    if "range" in axis and axis.get("type") != "log":
        low, high = axis["range"]
        assert low < high
        best = sorted([*values, *shown], reverse=maximized)[: (len(values) + 1) // 2]
        assert all(low <= x <= high for x in [*best, *shown])
