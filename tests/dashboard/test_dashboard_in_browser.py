"""The dashboard's page in a browser."""

from pathlib import Path

import optuna
import pytest
from dashboards import drawable, figures, served, update
from optuna.trial import create_trial

from optnas.dashboard.publisher import Publisher
from optnas.pareto.front import front
from optnas.storage.open import close_storage, open_storage
from optnas.study.artifacts import DRAWING, WEIGHTS
from optnas.study.attributes import ARCHITECTURE, BASELINE

# As the command does: Optuna's importance evaluators warn of small studies at every look.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_the_page_shows_figures_notes_and_files(publisher, study, page):
    update(publisher)
    member = front(study)[-1]
    assert "width" in member.params
    drawn = drawable(study)
    assert figures(study).keys() == drawn
    assert len(drawn) > 4
    with served(study) as url:
        page.goto(url)
        for key in drawn:
            title = page.locator(f"[id='user-defined-plot:{key}'] .gtitle")
            title.wait_for()
            assert title.text_content().startswith("tiny")
        page.goto(f"{url}/trials?numbers={member.number}")
        page.get_by_text("On the Pareto front of loss, params, flops, macs").wait_for()
        assert page.get_by_role("cell", name="loss (less is better)").count() == 1
        assert page.get_by_role("cell", name="width").count() == 1
        assert page.get_by_text("[//]").count() == 0
        drawing = page.get_by_role("img", name=DRAWING)
        drawing.wait_for()
        assert drawing.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        assert page.get_by_text(WEIGHTS).count() == 1


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://127.0.0.2/x.png)",
    "http://evil.example www.evil.example a@evil.example",
    "`a` **b** _c_ ~~d~~ $e$ &lt; a|b \\| [^1] \\",
    "- a",
    "1. a",
    "# a",
)


def test_hostile_names_are_shown_to_the_letter(page, search):
    study = optuna.create_study(
        study_name="<script>alert(0)</script>",
        storage=open_storage("sqlite:///tiny.db", create=True),
        directions=["minimize"] * 2,
    )
    study.set_metric_names(["<b>loss</b>|", "a\n- `b` www.evil.example"])
    params = {name: optuna.distributions.CategoricalDistribution([name]) for name in HOSTILE}
    attrs = {ARCHITECTURE: "\n".join(HOSTILE), "recipe": HOSTILE[0], BASELINE: HOSTILE[1]}
    study.add_trial(
        create_trial(
            values=[1.0, 1.0],
            params={name: name for name in HOSTILE},
            distributions=params,
            user_attrs=attrs,
        )
    )
    study.add_trial(create_trial(values=[2.0, 2.0], user_attrs=attrs | {BASELINE: "__b__"}))
    update(Publisher(study, Path("tiny_weights")))
    with served(study) as url:
        page.goto(f"{url}/trials?numbers=0")
        page.get_by_text("On the Pareto front").wait_for()
        cells = page.get_by_role("cell")
        texts = [text.replace("\u2060", "") for text in cells.all_text_contents()]
        assert [t for t in texts if t in HOSTILE] == [n for n in HOSTILE for _ in range(2)]
        assert "<b>loss</b>| (less is better)" in texts
        shown = cells.locator("xpath=ancestor::table/..").first
        assert shown.locator("a, img, script, code, em, del, li, h1").count() == 0
        page.goto(url)
        page.locator("[id='user-defined-plot:optnas-pareto'] .gtitle").wait_for()
    close_storage(study._storage)
