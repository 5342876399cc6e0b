import json
import re
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

import optnas
from optnas.errors import InputError
from optnas.pareto import front as front_module
from optnas.pareto.confirmed import keep_repeat
from optnas.plots.style import BLUE, GREEN
from optnas.report import report_html, write_report
from optnas.report.data import report_data
from optnas.report.failures import endings
from optnas.report.labels import readable_size
from optnas.report.page import as_json
from optnas.study.attributes import (
    ARCHITECTURE,
    BASELINE,
    CURVE,
    DUPLICATE_OF,
    FAILURE,
    LOST,
    PRUNED,
    RETRY_OF,
    SURPLUS,
)
from optnas.study.elsewhere import OtherDevice, Predicted, There
from optnas.study.reference import keep_reference_point
from optnas.study.retrainings import Run, keep_run
from optnas.utils.text import ranges

HOSTILE = "</script><script>window.hacked=1</script><!--&amp;<img src=x onerror=hacked=1>`\u2028'\""


def make_study(rows=(), names=("loss", "flops", "size"), directions=None, name="s"):
    """A study as anybody makes one: values, attributes, how far beyond a bound."""
    study = optuna.create_study(study_name=name, directions=directions or ["minimize"] * len(names))
    study.set_metric_names(list(names))
    for values, attrs, excess in rows:
        trial = create_trial(values=values, user_attrs=attrs, constraints={"flops": excess})
        study.add_trial(trial)
    return study


def add(study, state, attrs=None, excess=None, values=None):
    constraints = {} if excess is None else {"flops": excess}
    study.add_trial(
        create_trial(state=state, values=values, user_attrs=attrs or {}, constraints=constraints)
    )


ROWS = [
    ([1.0, 10.0, 5.0], {ARCHITECTURE: "a", "acc": 0.5}, -1.0),
    ([2.0, 5.0, 5.0], {ARCHITECTURE: "b"}, -1.0),
    ([2.0, 6.0, 1.0], {ARCHITECTURE: "c"}, -1.0),
    ([3.0, 7.0, 6.0], {}, -1.0),
    ([0.1, 0.1, 0.1], {ARCHITECTURE: "e"}, 3.0),
    ([2.0, 5.0, 5.0], {ARCHITECTURE: "b", DUPLICATE_OF: 1}, -1.0),
    ([9.0, 900.0, 5.0], {ARCHITECTURE: "baseline net", BASELINE: "net"}, -1.0),
]


@pytest.fixture
def study():
    return make_study(ROWS)


def first_data(page):
    """The JSON that the page shows first."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found[1])


def test_data_has_a_row_for_each_architecture(study):
    table = report_data(study).networks
    assert [(column.name, column.better, column.log) for column in table.columns] == [
        ("loss", "less", True), ("flops", "less", True), ("size", "less", True),
    ]  # fmt: skip
    assert [(row.trial, row.trials, row.place) for row in table.rows] == [
        (4, (4,), "infeasible"),
        (0, (0,), "front"),
        (1, (1, 5), "front"),
        (2, (2,), "front"),
        (3, (3,), "dominated"),
        (6, (6,), "dominated"),
    ]
    assert table.rows[-1].baseline == "net"
    assert table.rows[-1].dominated_by == (0, 1, 2)
    assert table.rows[1].values == (1.0, 10.0, 5.0)


def test_data_says_what_was_asked_and_found(study):
    data = report_data(study)
    assert data.summary.startswith(
        "Which networks offer the best trade-offs between loss, flops and size? 6 networks were "
        "tried; 3 of them are on the Pareto front"
    )
    assert [(goal.name, goal.best, goal.worst, goal.trial) for goal in data.goals] == [
        ("loss", 1.0, 2.0, 0), ("flops", 5.0, 10.0, 1), ("size", 1.0, 5.0, 2),
    ]  # fmt: skip
    assert data.facts["Trials"] == "7 finished, 1 of them with the values of an earlier, equal one"
    assert data.facts["Bounds"] == "flops (6 of 7 trials within)"


def test_data_of_a_study_that_optnas_ran(search):
    study = search.run(progress=False)
    data = report_data(study, search=search)
    assert "networks of 12 possible were tried" in data.summary
    assert (data.facts["Sampler"], data.facts["Seed"]) == ("random", "1")
    assert data.facts["Search space"] == "FunctionSpace: 12 architectures"
    by_name = {one.name: one for one in data.measurings}
    assert by_name["params"].definition.startswith("Elements of all parameters")
    assert by_name["loss"].definition == ""
    detail = data.details[0]
    assert detail["curve"]["step"] == [0, 1]
    assert detail["decisions"] == study.trials[0].params
    assert detail["facts"]["seed of weights and order"].isdigit()
    assert [name for name, _, _ in detail["numbers"]][:2] == ["loss", "params"]
    assert data.reproducing.fingerprint["objectives"] == "loss (minimize), params (minimize)"


def test_networks_are_drawn_the_front_first(search, monkeypatch):
    study = search.run(progress=False)
    data = report_data(study, search=search)
    drawn = {n for n, detail in enumerate(data.details) if "drawing" in detail}
    assert drawn == {row.trial for row in data.networks.rows}
    assert data.details[0]["drawing"].startswith("<svg")
    assert data.undrawn == ""

    monkeypatch.setattr("optnas.report.drawings.MOST", 1)
    data = report_data(study, search=search)
    (only,) = [n for n, detail in enumerate(data.details) if "drawing" in detail]
    assert next(row.place for row in data.networks.rows if row.trial == only) == "front"
    assert re.fullmatch(r"1 of \d networks are drawn, the front first", data.undrawn)


def test_fresh_seeds_have_their_say(study):
    for trial, losses in ((0, (1.2, 1.22)), (2, (0.1, 0.1))):
        for seed, loss in enumerate(losses):
            values = {"loss": loss, "flops": 1.0, "size": 1.0} if trial == 2 else {"loss": loss}
            keep_repeat(study, trial, seed, values)
    data = report_data(study)
    assert data.facts["Fresh seeds"] == "2 networks evaluated again: 1 falls, 1 stands"
    again = {row.trial: row.again for row in data.networks.rows if row.again}
    assert again[0] == ("falls", 2, 2, ("1.210 ± 0.014", "", ""))
    assert again[2].verdict == "stands"
    assert data.details[0]["facts"]["with fresh seeds"] == "falls, dominated by trial 2 (2 seeds)"
    assert data.details[0]["numbers"][0] == ("loss", 1.0, "fresh seeds: 1.210 ± 0.014")


def test_the_test_part_has_its_say(study):
    assert "On the test part" not in report_data(study).facts
    for seed, loss in enumerate((0.5, 0.7)):
        run = Run("s", "net", "recipe", {"epochs": "9"}, seed, seed, {"test_loss": loss})
        keep_run(study, 1, run)
    said = report_data(study).facts["On the test part"]
    assert said == "trial 1: test_loss 0.60 ± 0.14 (9 epochs, 2 seeds)"


def test_numbers_say_how_they_were_measured():
    attrs = {
        "latency_ms": 2.0,
        "detail:latency_ms": {"interval": [1.9, 2.1], "p95": 3.0, "passes": 40, "alone": False},
    }
    study = make_study([([1.0, 2.0], attrs, -1.0)], names=("loss", "latency_ms"))
    data = report_data(study)
    (latency,) = [one for one in data.measurings if one.name == "latency_ms"]
    assert latency.remarks == [
        "95 % interval: ± 5.0% (median of 1 network), ± 5.0% at worst",
        "1 network timed during a training: take with care",
    ]
    assert data.details[0]["numbers"][1] == (
        "latency_ms",
        2.0,
        "95 % interval 1.9 to 2.1 · 95 of 100 passes within 3 · 40 passes · during a training",
    )


def test_endings_are_counted_by_reason(study):
    add(study, TrialState.FAIL, {FAILURE: "diverged"})
    add(study, TrialState.FAIL, {FAILURE: "no memory"})
    add(study, TrialState.FAIL, {FAILURE: "no memory"})
    add(study, TrialState.PRUNED, {PRUNED: "flops is 9, its bound 6"}, excess=3.0)
    add(study, TrialState.FAIL, {LOST: "killed"})
    add(study, TrialState.FAIL, {LOST: "killed", RETRY_OF: 11})
    add(study, TrialState.FAIL, {SURPLUS: "enough"})
    add(study, TrialState.WAITING)
    found = endings(study.get_trials())
    assert [(e.kind, e.reason, e.times, e.trials) for e in found] == [
        ("failed", "no memory", 2, "8, 9"),
        ("failed", "diverged", 1, "7"),
        ("trained, but not allowed", "breaks the bound on flops", 1, "4"),
        ("ended before training", "breaks the bound on flops", 1, "10"),
        ("lost", "its process was killed; repeated by a later trial", 1, "11"),
        ("lost", "its process was killed; not repeated", 1, "12"),
        ("not needed", "enough", 1, "13"),
        ("waiting", "queued when this page was made", 1, "14"),
        ("not trained again", "same network and training as an earlier trial", 1, "5"),
    ]
    data = report_data(study)
    assert data.failed == 3
    assert data.details[7]["ending"] == "failed: diverged"


def test_many_reasons_are_told_in_short(study):
    for i in range(40):
        add(study, TrialState.FAIL, {FAILURE: f"reason {i}"})
    found = endings(study.get_trials())
    assert len(found) == 26
    assert sum(ending.times for ending in found) == 42


def test_ranges():
    assert ranges([1, 2, 3, 5, 7, 8]) == "1–3, 5, 7, 8"
    assert ranges(range(0, 100, 2), most=3) == "0, 2, 4 and 47 more"
    assert ranges([]) == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ("1,234", "1,234"),
        ("about 2.7e+15 (± 9%)", "about 2.7\u00a0·\u00a010¹⁵"),
        ("infinite (a parameter is continuous)", ""),
        ("unknown (KeyError while counting: 'a')", ""),
    ],
)
def test_readable_size(size, text):
    assert readable_size(size) == text


def test_changes_that_were_accepted_stand_at_the_top(study):
    study.set_user_attr("optnas", {"accepted": ["from trial 3: evaluator epochs: 2 there, 4 here"]})
    data = report_data(study)
    assert "from trial 3: evaluator epochs" in data.notes[0]
    assert data.reproducing.accepted == ["from trial 3: evaluator epochs: 2 there, 4 here"]


def test_commands_show_no_password(study):
    data = report_data(study, url="postgresql://me:secret@host/db")
    assert "secret" not in report_html(study, url="postgresql://me:secret@host/db")
    assert data.reproducing.commands[0].line == (
        "optnas report 'postgresql://me:***@host/db' --name s"
    )


def test_json_is_safe_inside_a_script():
    text = as_json({"name": HOSTILE, "values": [float("inf"), float("-inf"), float("nan"), None]})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {
        "name": HOSTILE,
        "values": ["Infinity", "-Infinity", "NaN", None],
    }


def test_page_is_whole_and_loads_nothing(study):
    page = report_html(study)
    assert page.startswith("<!doctype html>")
    assert first_data(page)["title"] == "s"
    assert first_data(page)["networks"]["rows"]["trial"] == [4, 0, 1, 2, 3, 6]
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    scripts = policy.split("script-src ")[1].split(";")[0]
    assert "unsafe" not in scripts
    text = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"<link|<iframe|\bsrc=|\bhref=|url\(|@import", text)


def test_page_is_written_whole_or_not_at_all(study, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    write_report(study, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(InputError, match=r"can't write .*page\.html: full"):
            write_report(make_study(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match=r"can't write"):
        write_report(study, tmp_path / "nowhere" / "page.html")


def odd_studies():
    """Studies that have little, much, or something strange to show, by name."""
    infinite = [([float("inf"), 1.0], {"odd": float("inf")}, -1.0), ([1.0, 2.0], {}, -1.0)]
    failed, waiting = make_study(name="failed"), make_study(ROWS[:2], name="waiting")
    add(failed, TrialState.FAIL, {FAILURE: HOSTILE})
    add(waiting, TrialState.WAITING)
    waiting.ask()
    plain = optuna.create_study(study_name="plain")
    plain.optimize(
        lambda trial: trial.suggest_float("x", 0, 1) ** trial.suggest_int("n", 1, 2), n_trials=4
    )
    strange = make_study(name="strange")
    odd = {
        CURVE: "none",
        "detail:loss": [1, 2],
        "optnas:lease": 3,
        BASELINE: {"a": 1},
        RETRY_OF: "x",
        "detail:latency_ms": {"interval": ["a", None], "p95": None, "alone": "yes"},
        "latency_ms": 0,
    }
    strange.add_trial(create_trial(values=[1.0, 2.0, 3.0], user_attrs=odd))
    strange.set_user_attr("optnas", {"size": "?", "scores": ["loss", "acc"], "fingerprint": {}})
    seven = [[float(i * k % 11) for k in range(1, 8)] for i in range(1, 12)]
    return {
        "empty": make_study(name="empty"),
        "one trial": make_study(ROWS[:1], name="one trial"),
        "infeasible": make_study([ROWS[4]], name="infeasible"),
        "failed": failed,
        "waiting": waiting,
        "single": make_study([([v], {}, -1.0) for v in (3.0, 1.0)], ["loss"], name="single"),
        "seven": make_study([(v, {}, -1.0) for v in seven], list("abcdefg"), name="seven"),
        "infinite": make_study(infinite, ["a", "b"], name="infinite"),
        "plain": plain,
        "strange": strange,
    }


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "No trial is complete yet."),
        ("one trial", "1 network was tried; 1 of them is on the Pareto front"),
        ("infeasible", "1 network was tried; none of them is within all bounds."),
        ("failed", "No trial is complete yet."),
        ("waiting", "2 networks were tried"),
        ("infinite", "2 networks were tried"),
        ("single", "Which network has the best loss? 2 networks were tried; the best reached 1."),
        ("seven", "11 networks were tried"),
        ("plain", "the best reached"),
        ("strange", "1 network was tried"),
    ],
)
def test_odd_studies_have_a_page(name, says):
    page = report_html(odd_studies()[name])
    assert says in first_data(page)["summary"]
    assert page.count("</script>") == page.count("<script")


def test_command_writes_the_page_beside_the_database(optnas, search, tmp_path):
    (tmp_path / "sub").mkdir()
    url = "sqlite:///sub/tiny.db"
    replace(search, storage=url).run(progress=False)
    code, out, _ = optnas("report", url)
    assert (code, out) == (0, "report: sub/tiny_report.html\n")
    data = first_data((tmp_path / "sub" / "tiny_report.html").read_text())
    assert "a database runs no code" in data["undrawn"]
    assert (
        data["reproducing"]["commands"][0]["line"]
        == "optnas report sqlite:///sub/tiny.db --name tiny"
    )

    code, out, _ = optnas("report", url, "-o", "other.html")
    assert (code, out) == (0, "report: other.html\n")
    code, _, err = optnas("report", url, "-o", "other.txt")
    assert code == 2
    assert "must end in .html" in err
    code, _, err = optnas("report", url, "-o", "nowhere/other.html")
    assert code == 2
    assert "there is no folder" in err


# In a browser.


@pytest.fixture
def opened(page, tmp_path):
    """Opens the page about a study."""

    def open_page(study, **given):
        path = tmp_path / "page.html"
        write_report(study, path, **given)
        page.goto(path.as_uri())
        return page

    return open_page


def trials_of(page):
    return page.eval_on_selector_all(
        "#networks tbody tr", "rows => rows.map((row) => Number(row.dataset.trial))"
    )


def wait_for_front(page):
    page.wait_for_selector("#holder-pareto.drawn")


def place_of(page, trial):
    """Where a trial's point is in the figure of the front, in pixels of the window."""
    return page.evaluate(
        """(trial) => {
          const graph = document.querySelector("#holder-pareto .plot");
          const { xaxis, yaxis } = graph._fullLayout;
          graph.scrollIntoView();
          const frame = graph.getBoundingClientRect();
          for (const trace of graph._fullData) {
            const i = (trace.customdata ?? []).indexOf(trial);
            if (i >= 0) return [
              frame.left + xaxis._offset + xaxis.d2p(trace.x[i]),
              frame.top + yaxis._offset + yaxis.d2p(trace.y[i]),
            ];
          }
        }""",
        trial,
    )


def test_table_is_sorted_by_mouse_and_keyboard(opened, study):
    page = opened(study)
    assert trials_of(page) == [0, 1, 2, 6]  # the front, and the baseline
    page.get_by_role("button", name="All networks (6)").click()
    assert trials_of(page) == [4, 0, 1, 2, 3, 6]
    head = page.get_by_role("columnheader", name="flops")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert trials_of(page) == [4, 1, 2, 3, 0, 6]  # 0.1, 5, 6, 7, 10, 900: as numbers
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert trials_of(page) == [6, 0, 3, 2, 1, 4]
    assert page.get_by_role("columnheader", name="loss").get_attribute("aria-sort") == "none"
    page.locator("button.trial").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Trial 0", exact=True).wait_for()
    assert page.locator("tr[aria-current]").get_attribute("data-trial") == "0"


def until(page, act, selector):
    """Does something until it shows: plotly misses a mouse that moves while it lays out."""
    from playwright.sync_api import TimeoutError  # where there is a browser, it is there

    for _ in range(6):
        act()
        try:
            return page.wait_for_selector(selector, timeout=5_000)
        except TimeoutError:
            page.mouse.move(0, 0)
    raise AssertionError(f"{selector} never came")


def test_points_and_rows_are_linked(opened, study):
    page = opened(study)
    wait_for_front(page)
    until(page, lambda: page.mouse.move(*place_of(page, 2)), "tr.hovered[data-trial='2']")
    page.get_by_role("heading", name="Trial 2", exact=True).wait_for()

    # The next one isn't on the front.
    until(page, lambda: page.mouse.click(*place_of(page, 3)), "tr.pinned[data-trial='3']")
    assert "All networks" in page.locator("#views [aria-pressed=true]").inner_text()

    page.locator("tr[data-trial='0'] td.text").click()
    (left, top), frame = place_of(page, 0), page.locator("#holder-pareto .rings").bounding_box()
    ring = page.locator("#holder-pareto .rings .pinned")
    assert float(ring.get_attribute("cx")) == pytest.approx(left - frame["x"], abs=1)
    assert float(ring.get_attribute("cy")) == pytest.approx(top - frame["y"], abs=1)
    assert "0.5" in page.locator("#pane").inner_text()


def test_axes_can_be_chosen(opened, study):
    page = opened(study)
    wait_for_front(page)
    title = page.locator("#holder-pareto .g-xtitle")
    title.get_by_text("flops (less is better)").wait_for()
    page.get_by_label("across").select_option("size")
    title.get_by_text("size (less is better)").wait_for()
    line = page.evaluate(
        """() => {
          const { data } = document.querySelector("#holder-pareto .plot");
          const { x, y } = data.find((trace) => !trace.customdata && !trace.meta);
          return [x, y];
        }"""
    )
    assert line == [[1, 5], [2, 1]]


def test_the_reference_and_the_boxes_of_baselines_follow_the_axes(opened, study):
    keep_reference_point(study, {"loss": 3.0, "size": 8.0}, {})
    page = opened(study)
    wait_for_front(page)

    def drawn(key):
        return page.evaluate(
            """(key) => {
              const { data } = document.querySelector("#holder-pareto .plot");
              return data.filter((t) => t.meta?.[key] !== undefined).map(({ x, y }) => [x, y]);
            }""",
            key,
        )

    values = [row.values for row in report_data(study).networks.rows]
    flops, size, loss = ([row[i] for row in values] for i in (1, 2, 0))
    own = next(row.values for row in report_data(study).networks.rows if row.baseline)
    assert drawn("reference") == [[[], []], [[min(flops), max(flops)], [3, 3]]]
    page.get_by_label("across").select_option("size")
    page.locator("#holder-pareto .g-xtitle").get_by_text("size (less is better)").wait_for()
    assert drawn("reference") == [
        [[8, 8], [min(loss), max(loss)]],
        [[min(size), max(size)], [3, 3]],
    ]
    right, top = max(size), max(loss)
    assert drawn("box") == [[[own[2], right, right, own[2]], [own[0], own[0], top, top]]]


def colours_of(pdf):
    """The colours that a PDF fills with or draws lines in, as `#rrggbb`."""
    found = set()
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S):
        with suppress(zlib.error):
            text = zlib.decompressobj().decompress(stream)
            for colour in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) (?:rg|RG)\b", text):
                found.add("#" + "".join(f"{round(255 * float(part)):02x}" for part in colour))
    return found


def test_a_page_that_has_loaded_prints_all_of_its_figures_and_drawings(opened, search, tmp_path):
    """Whoever prints can't wait: a headless browser prints as soon as the page has loaded."""
    page = opened(search.run(progress=False), search=search)
    assert page.locator(".figure:not(.drawn)").count() == 0
    images = page.locator("#gallery img.drawing")
    assert images.evaluate_all("all => all.map((image) => image.naturalWidth)") == [360] * 4
    assert page.locator("iframe").count() == 0
    printed = colours_of(page.pdf())
    drawing = images.first.evaluate("(image) => decodeURIComponent(image.src)")
    fills = set(re.findall(r"fill='(#[0-9a-f]{6})'", drawing))
    assert len(fills) > 2
    assert {BLUE, GREEN, *fills} <= printed  # members of the front, the hypervolume, the blocks
    # As wide as the paper, without buttons, and as before afterwards.
    width = "document.querySelector('#holder-history .plot .main-svg').clientWidth"
    before = page.evaluate(width)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(width) == 680
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(width) == before


def test_pane_shows_all_of_a_network(opened, search):
    study = search.run(progress=False)
    page = opened(study, search=search)
    number = trials_of(page)[1]
    page.locator("button.trial").nth(1).click()
    page.get_by_role("heading", name=f"Trial {number}", exact=True).wait_for()
    image = page.locator("#pane img.drawing")
    image.evaluate("async (image) => await image.decode()")
    assert image.evaluate("(image) => image.naturalWidth") == 360
    assert page.locator("#pane .curve polyline").count() == 1
    architecture = study.trials[number].user_attrs[ARCHITECTURE]
    for text in ("seed of weights and order", "width", architecture):
        assert text in page.locator("#pane").inner_text()


def test_networks_of_the_front_hang_side_by_side(opened, search, study):
    page = opened(search.run(progress=False), search=search)
    front = trials_of(page)
    pictures = page.locator("#gallery figure")
    assert pictures.count() == len(front)
    pictures.last.scroll_into_view_if_needed()
    image = pictures.last.locator("img.drawing")
    image.evaluate("async (image) => await image.decode()")
    pictures.last.get_by_role("button").click()
    page.get_by_role("heading", name=f"Trial {front[-1]}", exact=True).wait_for()
    assert opened(study).locator("#drawings").is_hidden()  # no code, no drawings


def test_names_are_text_and_nothing_else(opened):
    study = make_study(name=HOSTILE, names=(f"loss {HOSTILE}", "size"))
    attrs = {ARCHITECTURE: f"2 {HOSTILE}", BASELINE: HOSTILE, "detail:size": {HOSTILE: HOSTILE}}
    rows = [([1.0, 2.0], {ARCHITECTURE: HOSTILE}), ([3.0, 3.0], attrs)]
    for values, given in rows:
        study.add_trial(create_trial(values=values, user_attrs=given))
    add(study, TrialState.FAIL, {FAILURE: HOSTILE})
    study.set_user_attr(
        "optnas", {"file": HOSTILE, "accepted": [HOSTILE], "fingerprint": {"size x": HOSTILE}}
    )
    page = opened(study)
    wait_for_front(page)
    for place in ("#title", "td.text code", "#failed .reason", "#notes", "#pane"):
        assert HOSTILE in page.locator(place).first.text_content()
    page.locator(".figure").last.scroll_into_view_if_needed()
    page.wait_for_selector(".figure:last-child.drawn")
    page.locator("tr[data-trial='1']").hover()
    page.get_by_role("heading", name="(trial 1)").wait_for()
    assert page.evaluate("window.hacked") is None


OTHER = OtherDevice(
    label=f"pixel {HOSTILE}",
    metric="latency_ms",
    replaces="flops",
    how={"command": HOSTILE},
    measured=(
        There("a", 0, 1.0, (0.9, 1.1)),
        There("b", 1, 4.0, (3.9, 4.1)),
        There("c", 2, None, failure=f"no memory {HOSTILE}"),
    ),
    predicted=Predicted("ridge regression", 20, 0.07, 0.9, (There("baseline net", 6, 0.5),)),
)


def test_other_devices_have_their_say(study):
    (part,) = report_data(study, devices=[OTHER]).elsewhere
    assert [(row.trial, row.there, row.ranks) for row in part.rows] == [
        (0, "1 ± 10%", ("2", "1")),
        (1, "4 ± 2%", ("1", "2")),
        (6, "≈ 0.5, predicted", ("", "")),
    ]
    assert [row.changed for row in part.rows] == ["1 up", "1 down", ""]
    assert [(row.front_here, row.front_there, row.by) for row in part.rows] == [
        (True, True, None),
        (True, False, 0),  # it is better in flops alone
        (False, True, None),
    ]
    assert part.failed == [f"trial 2: no memory {HOSTILE}"]
    assert "2 of 2 measured networks have another rank" in part.text
    assert "It is off by 7.0% (median; τ 0.90)" in part.text
    traces = json.loads(part.figure.json)["data"]
    left, right = (
        [t for t in traces if t.get("xaxis") == x and t["mode"] == "markers"] for x in ("x", "x2")
    )
    assert sorted(n for t in left for n in t["customdata"]) == [0, 1]
    assert sorted(n for t in right for n in t["customdata"]) == [0, 1, 6]
    symbols = {n: t["marker"]["symbol"] for t in right for n in t["customdata"]}
    assert symbols == {0: "circle", 1: "circle-open", 6: "x"}
    assert report_data(study).elsewhere == []
    assert report_data(study, devices=[replace(OTHER, replaces="none")]).elsewhere == []
    single = make_study([([1.0], {ARCHITECTURE: "a"}, -1.0)], names=("flops",))
    (part,) = report_data(single, devices=[OTHER]).elsewhere
    assert part.figure.why == "flops is the only objective: no plane to draw"


def test_the_page_shows_other_devices(opened, study):
    assert opened(study).locator("#elsewhere").is_hidden()
    page = opened(study, devices=[OTHER])
    part = page.locator("#elsewhere")
    assert part.get_by_role("heading", level=3).text_content() == OTHER.label
    part.scroll_into_view_if_needed()
    page.wait_for_selector("#holder-elsewhere-0.drawn")
    assert part.locator("tbody tr").count() == 3
    assert HOSTILE in part.locator(".note").text_content()
    part.get_by_role("button", name="1", exact=True).click()
    page.get_by_role("heading", name="Trial 1", exact=True).wait_for()
    assert page.locator("#holder-elsewhere-0 .rings .pinned").count() == 2  # in both panels
    assert page.evaluate("window.hacked") is None


def test_large_tables_have_pages(opened):
    study = make_study(names=("a", "b"))
    study.add_trials([create_trial(values=[float(i), 250.0 - i % 250]) for i in range(250)])
    page = opened(study)
    assert len(trials_of(page)) == 100
    page.get_by_role("button", name="next page").click()
    assert trials_of(page) == list(range(100, 200))
    wait_for_front(page)
    until(page, lambda: page.mouse.click(*place_of(page, 249)), "tr.pinned[data-trial='249']")


@pytest.mark.parametrize(
    "name", ["empty", "failed", "infeasible", "infinite", "seven", "single", "strange"]
)
def test_odd_studies_open(opened, name):
    page = opened(odd_studies()[name])
    assert page.locator("#title").inner_text() == name
    page.wait_for_selector("#figures h3")
    figures = page.locator(".figure")
    if figures.count():
        figures.first.scroll_into_view_if_needed()
        page.wait_for_selector(".figure.drawn")


def test_the_front_is_computed_once_for_a_report(study, monkeypatch, tmp_path):
    """Tables, figures, facts and details share it: other searches are of planes and of boxes."""
    found = []
    computed = front_module.front_of

    def counted(trials, directions):
        found.append(len(trials))
        return computed(trials, directions)

    monkeypatch.setattr(front_module, "front_of", counted)
    write_report(study, tmp_path / "report.html")
    assert found == [5], "the feasible trials without the one that reused values"


def test_no_file_but_one_tests_dominance_or_flips_signs():
    """`dominates` and `losses` of optnas.pareto.dominance are the only ones."""
    by_hand = re.compile(
        r"\(\w+ <= \w+\)\.all|np\.all\(\w+ <= \w+|-1(\.0)? if (more|maximi|\w+ == StudyDirection)"
    )
    package = Path(optnas.__file__).parent
    rooms = ("pareto", "plots", "report", "dashboard", "cli", "finished", "study")
    files = [path for room in rooms for path in (package / room).glob("*.py")]
    found = {path.name for path in files if by_hand.search(path.read_text())}
    assert found == {"dominance.py"}
