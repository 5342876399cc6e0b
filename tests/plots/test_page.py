"""The page of a single figure."""

import random

import pytest
from odd_studies import HOSTILE, STUDIES, make
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial

from optnas.errors import InputError
from optnas.plots import PLOTS, pareto_data, pareto_figure
from optnas.plots.page import figure_html, write_figure
from optnas.report import report_html


def test_it_is_no_larger_than_the_report():
    study = STUDIES["usual"]()
    page = figure_html(pareto_figure(pareto_data(study)))
    assert len(page) < len(report_html(study)) < 2.3e6
    assert "<title>odd: " in page
    assert "latency_ms" in page  # the figure's own data can be searched


def test_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    figure = pareto_figure(pareto_data(STUDIES["usual"]()))
    path = tmp_path / "f.html"
    write_figure(figure, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(
            "pathlib.Path.write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full"))
        )
        with pytest.raises(InputError, match=r"can't write .*f\.html: full"):
            write_figure(figure, path)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


def test_it_is_drawn_when_it_has_loaded(page, tmp_path):
    for kind in ("hostile", "usual"):
        path = tmp_path / f"{kind}.html"
        write_figure(pareto_figure(pareto_data(STUDIES[kind]())), path)
        page.goto(path.as_uri())
        assert page.locator(".plot .gtitle").count() == 1
        assert page.evaluate("window.hacked") is None
    assert HOSTILE not in path.read_text()


@pytest.mark.parametrize("width", [600, 1400])
def test_buttons_cover_no_text_and_labels_of_axes_do_not_collide(page, tmp_path, width):
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
        path = tmp_path / "f.html"
        write_figure(figure, path)
        page.goto(path.as_uri())
        texts = boxes(page, ".plot .gtitle, .plot .legendtitletext, .plot .annotation text")
        assert texts
        for one in boxes(page, ".plot .modebar-container"):
            assert not [other for other in texts if overlap(one, other)]
        labels = boxes(page, ".plot .annotation text")
        for i, one in enumerate(labels):
            assert not [other for other in labels[:i] if overlap(one, other)]


def boxes(page, selector):
    """Where elements are: left, top, right, bottom."""
    return page.eval_on_selector_all(
        selector,
        "all => all.map((one) => one.getBoundingClientRect())"
        ".map((r) => [r.left, r.top, r.right, r.bottom])",
    )


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
