import json
import math

import numpy as np
import optuna
import pytest
from hypothesis import given, strategies as st
from optuna._hypervolume import compute_hypervolume
from optuna.trial import create_trial

from optnas.cli.comparison_tables import comparison_tables
from optnas.errors import InputError
from optnas.pareto.compare import compare
from optnas.pareto.study_hypervolume import hypervolume
from optnas.plots import comparison_figure
from optnas.study.record import RECORD


def make_study(rows, names=("loss", "flops"), directions=("minimize", "minimize"), excess=0.0):
    study = optuna.create_study(directions=list(directions))
    study.set_metric_names(list(names))
    for values in rows:
        study.add_trial(create_trial(values=list(values), constraints={"c": excess}))
    return study


def test_the_table_says_what_its_columns_mean():
    study = make_study([(1.0, 4.0), (2.0, 2.0)])
    front, _ = comparison_tables(compare({"a": study, "b": make_study([(0.5, 4.0)])}))
    assert "undominated" in [column.header for column in front.columns]
    assert "undominated: members that no other study's front dominates" in str(front.caption)


def test_two_fronts():
    a = make_study([(1.0, 4.0), (2.0, 2.0), (4.0, 1.0), (9.0, 9.0)])
    b = make_study([(1.0, 5.0), (2.0, 2.0), (3.0, 0.5)])
    found = compare({"a": a, "b": b})
    first, second = found.studies
    assert (first.label, first.trials, len(first.front)) == ("a", 4, 3)
    assert [m.stands for m in first.front] == [True, True, False]
    assert [m.stands for m in second.front] == [False, True, True]
    assert first.dominates == {"b": pytest.approx(1 / 3)}
    assert second.dominates == {"a": pytest.approx(1 / 3)}
    # The boxes: loss 1 to 9 and 1 to 3, flops 1 to 9 and 0.5 to 5, each a tenth wider.
    ideal, reference = np.array([1.0, 0.5]), np.array([9.8, 9.8])
    for study, own in ((a, first), (b, second)):
        points = np.array([t.values for t in study.trials])
        volume = compute_hypervolume(points, reference) / (reference - ideal).prod()
        assert own.hypervolume == pytest.approx(volume)


@pytest.mark.parametrize("trials", [2, 30])
def test_studies_of_the_same_trials_have_the_hypervolume_that_each_has_alone(trials):
    rows = np.random.default_rng(0).random((trials, 2)) - np.linspace(0, 1, trials)[:, None]
    found = compare({"a": make_study(rows), "b": make_study(rows)})
    assert {own.hypervolume for own in found.studies} == {hypervolume(make_study(rows))}


ROWS = st.lists(st.tuples(*[st.integers(0, 4).map(float)] * 3), min_size=1, max_size=8)


@given(st.lists(ROWS, min_size=2, max_size=4))
def test_standing_and_coverage_equal_brute_force(groups):
    kinds = ("minimize", "maximize", "minimize")
    found = compare({str(i): make_study(rows, "abc", kinds) for i, rows in enumerate(groups)})
    every = [m for own in found.studies for m in own.front]

    def dominates(p, q):
        p, q = (np.array(m.values) * [1, -1, 1] for m in (p, q))
        return (p <= q).all() and (p < q).any()

    for own in found.studies:
        for member in own.front:
            assert member.stands == (not any(dominates(other, member) for other in every))
        for other in found.studies:
            if other is not own:
                covered = [any(dominates(p, q) for p in own.front) for q in other.front]
                assert own.dominates[other.label] == pytest.approx(np.mean(covered))
        assert 0 < own.hypervolume <= 1


def test_only_shared_objectives_count():
    a = make_study(
        [(1.0, 4.0, 7.0), (2.0, 5.0, 1.0)], ("loss", "flops", "params"), ["minimize"] * 3
    )
    b = make_study([(3.0, 1.0)], ("flops", "loss"))
    found = compare({"a": a, "b": b})
    assert (found.names, found.left_out) == (["loss", "flops"], ["params"])
    assert [m.trial for m in found.studies[0].front] == [0]
    assert found.studies[1].front[0].values == (1.0, 3.0)
    assert found.studies[1].dominates == {"a": 1.0}


def test_settings_that_differ_are_named():
    a, b, c = (make_study([(1.0, 1.0)]) for _ in range(3))
    a.set_user_attr(RECORD, {"fingerprint": {"latency_ms device": "cpu", "space": "x"}})
    b.set_user_attr(RECORD, {"fingerprint": {"latency_ms device": "cuda", "space": "x"}})
    assert compare({"a": a, "b": b, "c": c}).notes == ["latency_ms device: cpu in a, cuda in b"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({}, "needs two studies or more, got a$"),
        ({"b": make_study([])}, "b: study .* has no COMPLETE trial yet"),
        ({"b": make_study([(1.0, 1.0)], excess=1.0)}, "b: study .* breaks a bound"),
        ({"b": make_study([(1.0, 1.0)], ("x", "y"))}, r"share no objective \(a: loss, flops; b: x"),
        (
            {"b": make_study([(1.0, 1.0)], directions=("maximize", "minimize"))},
            "loss is maximised in b and minimised in a",
        ),
    ],
)
def test_what_cannot_be_compared(others, message):
    with pytest.raises(InputError, match=message):
        compare({"a": make_study([(1.0, 1.0)])} | others)


def test_one_objective_and_seven():
    one = [make_study([(v,)], ("loss",), ("minimize",)) for v in (1.0, 2.0)]
    found = compare({"a": one[0], "b": one[1]})
    assert found.studies[0].dominates == {"b": 1.0}
    assert found.studies[0].hypervolume > found.studies[1].hypervolume > 0
    seven = [make_study(np.random.default_rng(i).random((9, 7)), "abcdefg", ["minimize"] * 7)
             for i in range(2)]  # fmt: skip
    assert not compare({"a": seven[0], "b": seven[1]}).exact


def test_nothing_finite_to_compare():
    found = compare({label: make_study([(math.inf, 1.0), (1.0, -math.inf)]) for label in "ab"})
    assert all(math.isfinite(own.hypervolume) for own in found.studies)


def test_values_without_bounds():
    found = compare({"a": make_study([(1.0, np.inf), (2.0, 1.0)]), "b": make_study([(3.0, 0.5)])})
    assert all(0 < own.hypervolume <= 1 for own in found.studies)


def test_figure():
    a = make_study([(1.0, 400.0), (2.0, 20.0), (4.0, 1.0)], ("<b>loss", "flops"))
    b = make_study([(1.0, 500.0), (3.0, 0.5)], ("<b>loss", "flops"))
    found = compare({"<script>": a, "b": b})
    figure = comparison_figure(found)
    points = [trace for trace in figure.data if trace.mode == "markers"]
    assert [list(trace.customdata) for trace in points] == [[0, 1, 2], [0, 1]]
    assert points[0].marker.symbol == ("circle", "circle", "circle-open")
    text = json.dumps(figure.to_plotly_json())
    assert "<script>" not in text
    assert "<b>loss" not in text
    assert "bdata" not in text
    assert figure.layout.yaxis.type is None
    assert figure.layout.xaxis.type == "log"
    swapped = comparison_figure(found, x="<b>loss", y="flops")
    assert swapped.layout.yaxis.type == "log"
    for kwargs, message in [
        ({"x": "speed"}, "unknown objective 'speed'; there are: <b>loss, flops"),
        ({"x": "flops", "y": "flops"}, "x and y are both 'flops'"),
    ]:
        with pytest.raises(InputError, match=message):
            comparison_figure(found, **kwargs)
    one = [make_study([(v,)], ("loss",), ("minimize",)) for v in (1.0, 2.0)]
    with pytest.raises(InputError, match="share a single objective"):
        comparison_figure(compare({"a": one[0], "b": one[1]}))
