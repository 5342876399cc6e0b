"""Figures of where the architectures stand: front, pairs of objectives, decisions."""

import json
import random

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

from optnas.errors import InputError
from optnas.pareto.confirmed import keep_repeat
from optnas.plots import (
    matrix_data,
    matrix_figure,
    parallel_data,
    parallel_figure,
    pareto_data,
    pareto_figure,
)
from optnas.plots.parallel_drawing import ABSENT
from optnas.plots.style import INK
from optnas.study.attributes import ARCHITECTURE, BASELINE, DUPLICATE_OF


def make_study(rows, names=("loss", "flops", "size"), directions=None):
    study = optuna.create_study(study_name="s", directions=directions or ["minimize"] * len(names))
    study.set_metric_names(list(names))
    for values, attrs, excess in rows:
        study.add_trial(
            create_trial(values=values, user_attrs=attrs, constraints={"flops": excess})
        )
    return study


@pytest.fixture
def study():
    return make_study(
        [
            ([1.0, 10.0, 5.0], {ARCHITECTURE: "a"}, -1.0),
            ([2.0, 5.0, 5.0], {ARCHITECTURE: "b <script>"}, -1.0),
            ([2.0, 6.0, 1.0], {ARCHITECTURE: "c"}, -1.0),
            ([3.0, 7.0, 6.0], {}, -1.0),
            ([0.1, 0.1, 0.1], {}, 3.0),
            ([2.0, 5.0, 5.0], {ARCHITECTURE: "b <script>", DUPLICATE_OF: 1}, -1.0),
            ([1.5, 900.0, 0.5], {ARCHITECTURE: "baseline net", BASELINE: "net"}, -1.0),
        ]
    )


def test_data_tells_the_front_of_all_objectives_from_that_of_the_plane(study):
    data = pareto_data(study)
    assert (data.names[data.y], data.names[data.x], data.names[data.color]) == (
        "loss", "flops", "size",
    )  # fmt: skip
    assert [p.number for p in data.points] == [0, 1, 2, 3, 4, 6]
    assert [p.number for p in data.points if p.on_front] == [0, 1, 2, 6]
    assert data.plane == (0, 1)
    assert [p.number for p in data.points if not p.feasible] == [4]
    assert data.points[3].architecture == "(no parameters)"


def test_figure_shows_each_point_once_and_names_the_axes(study):
    figure = pareto_figure(pareto_data(study, x="flops", y="loss"))
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["dominated"].customdata) == [3]
    assert list(traces["breaks a bound"].customdata) == [4]
    assert list(traces["front of all 3 objectives"].customdata) == [0, 1, 2]
    assert list(traces["baselines"].customdata) == [6]
    assert list(traces["baselines"].text) == ["net"]
    assert list(traces["best of flops and loss"].x) == [5.0, 10.0]
    assert figure.layout.xaxis.title.text == "flops (less is better)"
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.yaxis.title.text == "loss (less is better)"
    hover = traces["front of all 3 objectives"].hovertext[1]
    assert "trial 1" in hover
    assert "flops: 5" in hover
    assert "<script>" not in hover
    assert "bdata" not in json.dumps(figure.to_plotly_json())


def test_maximised_objectives_turn_the_front_around():
    rows = [([float(a), float(b)], {}, 0.0) for a, b in ((1, 1), (2, 2), (3, 1), (4, 3))]
    study = make_study(rows, ("accuracy", "flops"), ["maximize", "minimize"])
    data = pareto_data(study)
    assert data.color is None
    assert [p.number for p in data.points if p.on_front] == [2, 3]
    figure = pareto_figure(data)
    assert figure.layout.yaxis.title.text == "accuracy (more is better)"
    assert [t.name for t in figure.data][-1] == "front"


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"x": "speed"}, "unknown objective 'speed'; there are: loss, flops, size"),
        ({"x": "loss", "y": "loss"}, "x and y are both 'loss'"),
    ],
)
def test_axes_that_are_not_there(study, kwargs, message):
    with pytest.raises(InputError, match=message):
        pareto_data(study, **kwargs)


def test_studies_without_a_front():
    with pytest.raises(InputError, match="no COMPLETE trial yet"):
        pareto_data(make_study([]))
    with pytest.raises(InputError, match="a single objective"):
        pareto_data(make_study([], ("loss",)))


def test_one_trial_and_none_feasible():
    for excess in (0.0, 1.0):
        data = pareto_data(make_study([([1.0, 2.0, 3.0], {}, excess)]))
        assert len(pareto_figure(data).data) >= 3


def test_counts_are_defined_where_they_are_shown():
    """Only where optnas counted them: another study's flops may be anything."""
    plain = make_study([([1.0, 2.0], {}, 0.0)], names=("loss", "flops"))
    assert "macs" not in pareto_figure(pareto_data(plain)).layout.legend.title.text
    ours = make_study([([1.0, 2.0], {"flops": 2.0}, 0.0)], names=("loss", "flops"))
    note = pareto_figure(pareto_data(ours)).layout.legend.title.text
    assert "flops = 2 · macs; macs = multiply-accumulates" in note


def test_a_fourth_objective_is_the_size_and_is_explained():
    rows = [([float(5 - i), float(i), float(i), 10.0**i], {}, 0.0) for i in range(1, 4)]
    study = make_study(rows, ("loss", "flops", "params", "ms"))
    data = pareto_data(study)
    assert (data.names[data.color], data.names[data.size]) == ("params", "ms")
    figure = pareto_figure(data)
    members = figure.data[-1]
    assert list(members.marker.size) == sorted(members.marker.size)
    assert (members.marker.size[0], members.marker.size[-1]) == (7, 24)
    note = "size of a point: ms, from 10 (small) to 1,000 (large)"
    assert note in figure.layout.legend.title.text
    other = pareto_data(study, size="flops")
    assert [other.names[i] for i in (other.x, other.y, other.color, other.size)] == [
        "params", "loss", "ms", "flops",
    ]  # fmt: skip
    with pytest.raises(InputError, match="size and x are both 'ms'"):
        pareto_data(study, x="ms", size="ms")


def test_what_dominates_the_baselines():
    study = make_study(
        [
            ([1.0, 5.0], {}, 0.0),
            ([3.0, 3.0], {}, 0.0),
            ([0.1, 0.1], {}, 1.0),
            ([3.0, 4.0], {BASELINE: "<old>", ARCHITECTURE: "baseline old"}, 0.0),
            ([0.5, 9.0], {BASELINE: "new", ARCHITECTURE: "baseline new"}, 0.0),
        ],
        ("loss", "flops"),
    )
    data = pareto_data(study)
    assert data.dominating == {"<old>": (1,), "new": ()}
    title = pareto_figure(data).layout.title.text
    assert "baseline &lt;old&gt;: dominated by trial 1" in title
    assert "baseline new: not dominated: the nearest, trial 0, has loss 1 (not 0.5)" in title


def test_a_box_holds_what_is_worse_than_a_baseline():
    study = make_study(
        [
            ([1.0, 5.0], {}, 0.0),
            ([4.0, 2.0], {}, 0.0),
            ([3.0, 4.0], {BASELINE: "old", ARCHITECTURE: "baseline old"}, 0.0),
        ],
        ("loss", "flops"),
    )
    (box,) = (t for t in pareto_figure(pareto_data(study)).data if t.fill == "toself")
    corners = set(zip(box.x, box.y, strict=True))
    assert corners == {(4.0, 3.0), (5.0, 3.0), (5.0, 4.0), (4.0, 4.0)}  # flops to the right


def test_one_point_for_an_architecture_which_names_its_trials():
    study = make_study(
        [([float(i), float(i)], {ARCHITECTURE: "net"}, 0.0) for i in range(3, 0, -1)], ("a", "b")
    )
    data = pareto_data(study)
    assert [(p.number, p.trials) for p in data.points] == [(2, (0, 1, 2))]
    assert "trial 2 (also 0, 1)" in pareto_figure(data).data[-1].hovertext[0]


def test_many_points_say_less_and_are_fewer():
    rows = [([float(i), float(5000 - i)], {}, 0.0) for i in range(1, 2500)]
    figure = pareto_figure(pareto_data(make_study(rows, ("a", "b"))))
    members = figure.data[-1]
    assert len(members.x) == 2000
    assert members.hovertext is None
    assert (members.customdata[0], members.customdata[-1]) == (0, 2498)
    assert "2000 of 2499 are drawn: front" in figure.layout.legend.title.text
    assert len(figure.data[1].x) == 2499, "the line is whole"


def test_a_panel_for_each_pair_of_objectives():
    rows = [
        ([1.0, 10.0, 3.0], {}, 0.0),
        ([2.0, 9000.0, 2.0], {}, 0.0),
        ([3.0, 9000.0, 3.0], {}, 0.0),
        ([0.1, 0.1, 0.1], {}, 1.0),
        ([9.0, 11.0, 9.0], {BASELINE: "net"}, 0.0),
    ]
    data = matrix_data(make_study(rows, ("loss", "flops", "ms")))
    assert [p.number for p in data.points] == [0, 1, 2, 4], "feasible ones"
    figure = matrix_figure(data)
    panels = {(t.xaxis, t.yaxis) for t in figure.data}
    assert panels == {("x", "y"), ("x", "y2"), ("x2", "y2")}
    front = [t for t in figure.data if t.name == "front"]
    assert [list(t.customdata) for t in front] == [[0, 1]] * 3
    assert [(list(t.x), list(t.y)) for t in front] == [
        ([1.0, 2.0], [10.0, 9000.0]),
        ([1.0, 2.0], [3.0, 2.0]),
        ([10.0, 9000.0], [3.0, 2.0]),
    ]
    assert sum(t.showlegend for t in figure.data) == 3
    assert figure.layout.xaxis2.type == figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis.domain[0] > figure.layout.yaxis2.domain[1], "row by row"


def test_more_objectives_than_panels():
    names = [f"o{i}" for i in range(9)]
    data = matrix_data(make_study([([1.0] * 9, {}, 0.0)], names))
    assert (data.names, data.objectives) == (names[:7], 9)
    assert "the first 7 of 9 objectives" in matrix_figure(data).layout.legend.title.text


LAYERS = {
    "depth": IntDistribution(1, 2),
    "rate": FloatDistribution(1e-4, 1e-2, log=True),
    "layer2.kind": CategoricalDistribution(["a", "<b>", None]),
}


def with_params(rows, directions=("minimize", "maximize")):
    study = optuna.create_study(study_name="s", directions=directions)
    for values, params in rows:
        study.add_trial(
            create_trial(
                values=values, params=params, distributions={name: LAYERS[name] for name in params}
            )
        )
    return study


def test_lines_go_from_decisions_to_objectives():
    study = with_params(
        [
            ([1.0, 5.0], {"depth": 1, "rate": 1e-4}),
            ([100.0, 9.0], {"depth": 2, "rate": 1e-2, "layer2.kind": "<b>"}),
            ([10.0, 1.0], {"depth": 2, "rate": 1e-3, "layer2.kind": None}),
        ]
    )
    data = parallel_data(study)
    assert [axis.name for axis in data.axes] == [*LAYERS, "objective 0", "objective 1"]
    assert [axis.more for axis in data.axes] == [None] * 3 + [False, True]
    assert [axis.conditional for axis in data.axes] == [False, False, True, False, False]
    assert data.axes[0].ticks == ((0.0, "1"), (1.0, "2"))
    assert data.axes[1].ticks == ((0.0, "0.0001"), (pytest.approx(0.5), "0.001"), (1.0, "0.01"))
    assert data.axes[2].ticks == ((0.0, "a"), (0.5, "<b>"), (1.0, "None"))
    assert [line.number for line in data.lines if line.best] == [0, 1]
    assert {line.number: line.positions for line in data.lines} == {
        0: (0.0, pytest.approx(0.0), None, 1.0, pytest.approx(0.5)),
        1: (1.0, pytest.approx(1.0), 0.5, 0.0, 1.0),
        2: (1.0, pytest.approx(0.5), 1.0, pytest.approx(0.5), 0.0),
    }
    figure = parallel_figure(data)
    others = figure.data[0]
    assert [n for n, y in zip(others.customdata, others.y, strict=True) if y is not None] == [2] * 5
    assert figure.layout.yaxis.ticktext == ("absent",)
    assert "&lt;b&gt;" in [note.text for note in figure.layout.annotations]
    rules = next(t for t in figure.data if t.line.color == INK)
    ends = {
        x: (low, high)
        for x, low, high in zip(rules.x[::3], rules.y[::3], rules.y[1::3], strict=True)
    }
    lines = [t for t in figure.data if t.name == "front"]
    shown = [(x, y) for t in lines for x, y in zip(t.x, t.y, strict=True) if y is not None]
    assert all(y < ABSENT / 2 or ends[x][0] <= y <= ends[x][1] for x, y in shown)


def test_choices_of_one_text_have_levels_of_their_own():
    study = optuna.create_study()
    choices = CategoricalDistribution([1, "1", None, "None", 0.12345, 0.12346])
    for number, value in enumerate(choices.choices):
        study.add_trial(
            create_trial(value=number, params={"a": value}, distributions={"a": choices})
        )
    data = parallel_data(study)
    assert len({line.positions[0] for line in data.lines}) == 6
    texts = [text for _, text in data.axes[0].ticks]
    assert texts == ["1", "'1'", "None", "'None'", "0.123", "0.123"]


def test_of_many_decisions_the_most_important_are_drawn():
    names = [f"p{i}" for i in range(15)]
    rng = random.Random(0)
    study = optuna.create_study(directions=["minimize", "minimize"])
    space = {name: FloatDistribution(0, 1) for name in names}
    for _ in range(40):
        params = {name: rng.random() for name in names}
        study.add_trial(
            create_trial(values=[params["p3"], params["p14"]], params=params, distributions=space)
        )
    data = parallel_data(study)
    shown = [axis.name for axis in data.axes if axis.more is None]
    assert len(shown) == 10
    assert {"p3", "p14"} < set(shown)
    assert shown == sorted(shown, key=names.index), "in the order of the space"
    assert "10 of 15 decisions: the most important" in parallel_figure(data).layout.title.text


def test_a_single_objective_has_its_best_lines_in_colour():
    study = with_params([([float(i)], {"depth": 1}) for i in range(8)], ["maximize"])
    data = parallel_data(study)
    assert [line.number for line in data.lines if line.best] == [7, 6, 5, 4]
    assert (data.best, data.others) == (4, 4)


def test_baselines_alone_on_the_front_leave_no_line_in_colour():
    study = with_params([([float(i), 1.0], {"depth": 1}) for i in range(3, 6)])
    study.add_trial(create_trial(values=[0.0, 9.0], user_attrs={BASELINE: "net"}))
    data = parallel_data(study)
    assert (data.best, data.others) == (0, 3)
    assert parallel_figure(data).data[0].name == "others"


def test_what_fresh_seeds_say_has_bars():
    study = make_study(
        [([1.0, 5.0], {}, 0.0), ([2.0, 3.0], {}, 0.0), ([3.0, 1.0], {}, 0.0)], ("loss", "params")
    )
    assert pareto_data(study).again == []
    for seed, loss in enumerate((1.2, 1.4)):
        keep_repeat(study, 0, seed, {"loss": loss})
    keep_repeat(study, 1, 0, {"loss": 2.5})
    keep_repeat(study, 2, 0, {}, failure="it diverged")
    data = pareto_data(study)
    members = [standing.member for standing in data.again]
    means = [tuple(spread.mean for spread in m.spreads) for m in members]
    assert [(m.trial, m.n, m.search, mean) for m, mean in zip(members, means, strict=True)] == [
        (0, 2, (1.0, 5.0), (pytest.approx(1.3), 5.0)),
        (1, 1, (2.0, 3.0), (2.5, 3.0)),
    ]
    assert members[0].spreads[0].deviation == pytest.approx(0.02**0.5)
    assert [a.verdict for a in data.again] == ["stands", "stands by one seed"]
    means = pareto_figure(data).data[-1]
    assert means.name == "with fresh seeds (mean ± 1 sd)"
    assert (list(means.customdata), list(means.x)) == ([0, 1], [5.0, 3.0])
    assert list(means.error_y.array) == [pytest.approx(0.02**0.5), 0.0]
    assert "2 fresh seeds: stands" in means.hovertext[0]
