"""What holds for every figure, whatever the study."""

import json
import math
import re
import subprocess
import sys

import pytest
from odd_studies import STUDIES, add, make

from optnas.errors import InputError
from optnas.plots import PLOTS
from optnas.plots.scales import LARGEST, log_ticks, position, small_axis
from optnas.plots.style import spread
from optnas.plots.texts import broken, direction, label, si, told_apart, wrapped

KEYS = ["pareto", "matrix", "parallel", "history", "importance", "curves", "timeline"]
NOTHING = dict.fromkeys(["empty", "failed"], "no COMPLETE trial yet")
FEASIBLE = dict.fromkeys(["empty", "failed", "infeasible"], "no feasible COMPLETE trial yet")
NO_PLACE = {"nothing_finite": "nothing is left to draw: every value is infinite, or too large"}
SINGLE = {"one_objective": "a single objective"}
REASONS = {
    "pareto": NOTHING | SINGLE | NO_PLACE,
    "matrix": NOTHING | SINGLE | NO_PLACE | {"infeasible": "within its bounds"},
    "parallel": dict.fromkeys(["empty", "failed", "infeasible"], "within its bounds"),
    "history": FEASIBLE | NO_PLACE,
    "importance": dict.fromkeys(
        [kind for kind in STUDIES if kind not in ("usual", "endless")],
        "importances take at least 20",
    )
    | {"usual": "has 16 COMPLETE"},
    "curves": {
        "empty": "no learning curves",
        "plain": "no learning curves",
        "nothing_finite": "nothing is left to draw: no 'val_loss' that was reported",
    },
    "timeline": {"empty": "no trial that has begun"},
}
"""Which studies a figure refuses, and why."""
TAGS = re.compile(r"<(?!/?(b|i|br|span|extra)\b)")


def texts(found):
    """All texts of a figure."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from texts(value)


def floats(found):
    """All numbers of a figure, before they are JSON, which has no infinite ones."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, (list, tuple)):
        for value in found:
            yield from floats(value)
    elif isinstance(found, float):
        yield found


def test_registry():
    assert [plot.key for plot in PLOTS] == KEYS
    assert all(plot.title and plot.caption.endswith(".") for plot in PLOTS)


@pytest.mark.parametrize("kind", STUDIES)
@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
def test_every_figure_of_every_study(plot, kind):
    study = STUDIES[kind]()
    if kind in REASONS[plot.key]:
        with pytest.raises(InputError, match=REASONS[plot.key][kind]):
            plot.draw(study)
        return
    figure = plot.draw(study)
    assert all(abs(number) <= LARGEST for number in floats(figure.to_plotly_json()))
    found = json.loads(figure.to_json())
    assert found["data"]
    assert not any(TAGS.search(text) for text in texts(found))
    assert not any("&quot;" in text or "&#" in text for text in texts(found))
    assert "bdata" not in json.dumps(found)
    numbers = {trial.number for trial in study.get_trials(deepcopy=False)}
    linked = [t["customdata"] for t in found["data"] if "customdata" in t]
    assert {n for of in linked for n in of} <= numbers | {None}  # the end of a line has none
    if plot.key != "importance":
        assert linked


def test_importances_of_what_people_name():
    """The odd studies are too small for it."""
    study = make(["<b>loss</b>", 'a "b" & c'])
    for i in range(25):
        add(study, i, text="<script>")
    (plot,) = [plot for plot in PLOTS if plot.key == "importance"]
    found = json.loads(plot.draw(study).to_json())
    assert not any(TAGS.search(text) for text in texts(found))
    assert found["layout"]["xaxis2"]["title"]["text"] == 'a "b" &amp; c'


def test_what_is_left_out_is_named():
    """Plain Optuna keeps infinite values."""
    study = make(["a", "b"], ["minimize", "maximize"])
    for i in range(25):
        values = [math.inf if i == 3 else float(i + 1), -sys.float_info.max if i == 7 else float(i)]
        add(study, i, values=values)
    drawn = {plot.key: plot.draw(study) for plot in PLOTS}
    for key in ("pareto", "matrix"):
        said = drawn[key].layout.legend.title.text.replace("<br>", " ")
        assert "that is infinite, or too large for an axis: trials 3, 7" in said
        traces = [trace for trace in drawn[key].data if trace.customdata]
        x, y = ({n: v for t in traces for n, v in zip(t.customdata, t[axis], strict=True)}
                for axis in "xy")  # fmt: skip
        assert (x[3], y[3], x[7], y[7]) in ((None, 3.0, 8.0, None), (3.0, None, None, 8.0))
    assert "lie at the ends of<br>their axes" in drawn["parallel"].layout.legend.title.text


def test_torch_is_not_needed():
    """It takes seconds to import."""
    code = "import sys, optnas.plots; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_texts():
    assert label("a\n  <b> & \"c\" 'd'") == "a &lt;b&gt; &amp; \"c\" 'd'"
    assert label("x" * 50, 10) == "x" * 9 + "…"
    paths = [f"encoder.layers.{i}.width" for i in (0, 1)]
    assert told_apart([*paths, "<a>"], 20) == [
        "encoder.layers.0.wi…",
        "encoder.layers.1.wi…",
        "&lt;a&gt;",
    ]
    assert told_apart(paths, 15) == ["encoder…0.width", "encoder…1.width"]
    assert told_apart(paths, 9) == ["….0.width", "….1.width"]
    assert told_apart(["same" * 9, "same" * 9], 5) == ["same…"] * 2
    assert broken("loss_of_the_ensemble") == "loss_of_the_<br>ensemble"
    assert broken("val_accuracy") == "val_accuracy"
    assert broken("<b> & x") == "&lt;b&gt; &amp; x"
    assert wrapped("one two three", 8) == "one two<br>three"
    assert wrapped("a b c d", 1, most=2) == "a<br>b …"
    assert (direction(True), direction(False)) == ("more is better", "less is better")
    assert [si(v) for v in (2e4, 1.5e6, 0.05, 7)] == ["20k", "1.5M", "0.05", "7"]
    assert si(15_704, 3) == "15.7k"


def test_scales():
    assert log_ticks([10, 900]) == [10, 20, 50, 100, 200, 500, 1000]
    assert log_ticks([10, 900], few=True) == pytest.approx([10, 30, 100, 300, 1000])
    assert log_ticks([1e-3, 1e9]) == pytest.approx([1e-3, 1e-1, 10, 1e3, 1e5, 1e7, 1e9])
    assert [position([1, 10, 100])(v) for v in (1, 10, 100)] == pytest.approx([0, 0.5, 1])
    assert [position([0, 10])(v) for v in (0, 5, 10, 99)] == [0, 0.5, 1, 1]
    assert position([3])(3) == 0.5
    assert small_axis("peak_activation_mb", False, [1.0])["title"]["text"] == (
        "peak_<br>activation_mb<br>(less is better)"
    )
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert spread([1, 2], 4) == [1, 2]
