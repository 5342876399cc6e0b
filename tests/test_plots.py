import json

import optuna
import pytest
from optuna.trial import create_trial

from optnas.errors import InputError
from optnas.plots import pareto_data, pareto_figure
from optnas.trials import ARCHITECTURE, BASELINE, DUPLICATE_OF


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
