"""Figures in a browser, each on its own page and many on one."""

import random
import time

import pytest
from odd_studies import HOSTILE, STUDIES, add, make
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial

from optnas.plots import PLOTS, parallel_data, parallel_figure, pareto_data, pareto_figure
from optnas.plots.page import write_figure

# Together they take half a minute in the one worker that they share.
pytestmark = pytest.mark.slow


def test_figures_are_drawn_by_a_browser(page, page_file):
    """Without an error, and nothing that a person named becomes a part of the page."""
    drawn = []
    for kind in ("usual", "hostile"):
        study = STUDIES[kind]()
        for i in range(30, 40):
            add(study, i)
        drawn += [plot.draw(study) for plot in PLOTS]
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=i == 0) for i, figure in enumerate(drawn)
    ]
    page_file.write_text(f"<!doctype html><meta charset='utf-8'>{''.join(parts)}")
    page.goto(page_file.as_uri())
    page.wait_for_function(
        "n => document.querySelectorAll('.plotly-graph-div .main-svg .gtitle').length == n",
        arg=len(drawn),
    )
    assert page.evaluate("window.hacked") is None
    assert page.locator("svg img, svg script").count() == 0


def test_it_is_drawn_when_it_has_loaded(page, page_file):
    for kind in ("hostile", "usual"):
        write_figure(pareto_figure(pareto_data(STUDIES[kind]())), page_file)
        page.goto(page_file.as_uri())
        assert page.locator(".plot .gtitle").count() == 1
        assert page.evaluate("window.hacked") is None
    assert HOSTILE not in page_file.read_text()


def test_a_double_click_shows_what_lies_outside(page, page_file):
    study = make()
    for i in range(10):
        study.add_trial(create_trial(values=[1 + 0.01 * i, 20.0 - i, 1.0, 1.0]))
    study.add_trial(create_trial(values=[9.0, 10.5, 1.0, 1.0]))
    figure = pareto_figure(pareto_data(study))
    assert "a double-click shows all" in figure.to_json()
    write_figure(figure, page_file)
    page.goto(page_file.as_uri())
    ends = "document.querySelector('.plot')._fullLayout.yaxis.range"
    assert page.evaluate(ends)[1] < 1.2
    # Two clicks that come late after one another are no double-click.
    tries = 6
    while page.evaluate(ends)[1] <= 9 and tries:
        page.locator(".plot .nsewdrag").dblclick()
        tries -= 1
        deadline = time.monotonic() + 5
        while page.evaluate(ends)[1] <= 9 and time.monotonic() < deadline:
            page.wait_for_timeout(20)
    assert page.evaluate(ends)[1] > 9


@pytest.mark.parametrize("width", [600, 1400])
def test_buttons_cover_no_text_and_labels_of_axes_do_not_collide(page, page_file, width):
    """Of a study with as many axes as are drawn, and long choices, in windows of any width."""
    study = make()
    kinds = CategoricalDistribution(["relu", "leaky_relu", "hard_swish_of_mobilenet"])
    space = {f"layer{i}.activation": kinds for i in range(12)}
    rng = random.Random(0)
    for _ in range(24):
        study.add_trial(
            create_trial(
                values=[rng.random(), 1e6 * rng.random(), 1e4 * rng.random(), rng.random()],
                params={name: rng.choice(kinds.choices) for name in space},
                distributions=space,
            )
        )
    page.set_viewport_size({"width": width, "height": 800})
    drawn = [plot.draw(study) for plot in PLOTS if plot.key in ("pareto", "parallel", "history")]
    for figure in drawn:
        write_figure(figure, page_file)
        page.goto(page_file.as_uri())
        texts = boxes(page, ".plot .gtitle, .plot .legendtitletext, .plot .annotation text")
        assert texts
        for one in boxes(page, ".plot .modebar-container"):
            assert not [other for other in texts if overlap(one, other)]
        labels = boxes(page, ".plot .annotation text")
        for i, one in enumerate(labels):
            assert not [other for other in labels[:i] if overlap(one, other)]


@pytest.mark.parametrize("width", [500, 1400])
def test_every_axis_of_the_decisions_has_its_name(page, page_file, width):
    study = make(["loss", "size"])
    kinds = CategoricalDistribution(["relu", "gelu"])
    space = {f"encoder.layers.{i}.attention.activation": kinds for i in range(5)}
    rng = random.Random(0)
    for _ in range(24):
        study.add_trial(
            create_trial(
                values=[rng.random(), rng.random()],
                params={name: rng.choice(kinds.choices) for name in space},
                distributions=space,
            )
        )
    page.set_viewport_size({"width": width, "height": 800})
    write_figure(parallel_figure(parallel_data(study)), page_file)
    page.goto(page_file.as_uri())
    page.wait_for_selector(".plot .xaxislayer-above .xtick text")
    names = page.locator(".plot .xaxislayer-above .xtick text").all_text_contents()
    assert [name[:16] for name in names] == [f"encoder.layers.{i}" for i in range(5)] + [
        "loss",
        "size",
    ]
    left = boxes(page, ".plot .xaxislayer-above .xtick text")[0][0]
    assert left >= boxes(page, ".plot")[0][0]


def boxes(page, selector):
    """Where elements are: left, top, right, bottom."""
    return page.eval_on_selector_all(
        selector,
        "all => all.map((one) => one.getBoundingClientRect())"
        ".map((r) => [r.left, r.top, r.right, r.bottom])",
    )


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
