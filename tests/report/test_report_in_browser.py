"""The report in a browser."""

import re
import zlib
from contextlib import suppress

import pytest
from optuna.trial import TrialState, create_trial
from report_studies import HOSTILE, OTHER, ROWS, add, make_study, odd_studies

from optnas.plots.style import BLUE, GREEN
from optnas.report import write_report
from optnas.report.data import report_data
from optnas.study.attributes import ARCHITECTURE, BASELINE, FAILURE
from optnas.study.reference import keep_reference_point

# Together they take half a minute in the one worker that they share.
pytestmark = pytest.mark.slow


@pytest.fixture
def study():
    return make_study(ROWS)


@pytest.fixture
def opened(page, page_file):
    """Opens the page about a study."""

    def open_page(study, **given):
        write_report(study, page_file, **given)
        page.goto(page_file.as_uri())
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
    assert page.locator("#drawings").is_hidden()  # no code, no drawings
    assert page.locator("#elsewhere").is_hidden()  # no other devices
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


def test_the_front_the_reference_and_the_boxes_of_baselines_follow_the_axes(opened, study):
    keep_reference_point(study, {"loss": 3.0, "size": 8.0}, {})
    page = opened(study)
    wait_for_front(page)
    title = page.locator("#holder-pareto .g-xtitle")
    title.get_by_text("flops (less is better)").wait_for()

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
    title.get_by_text("size (less is better)").wait_for()
    line = page.evaluate(
        """() => {
          const { data } = document.querySelector("#holder-pareto .plot");
          const { x, y } = data.find((trace) => !trace.customdata && !trace.meta);
          return [x, y];
        }"""
    )
    assert line == [[1, 5], [2, 1]]
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


def test_a_page_that_has_loaded_prints_all_of_its_figures_and_drawings(opened, search):
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


def test_networks_hang_side_by_side_and_the_pane_shows_all_of_one(opened, search):
    study = search.run(progress=False)
    page = opened(study, search=search)
    front = trials_of(page)
    page.locator("button.trial").nth(1).click()
    page.get_by_role("heading", name=f"Trial {front[1]}", exact=True).wait_for()
    image = page.locator("#pane img.drawing")
    image.evaluate("async (image) => await image.decode()")
    assert image.evaluate("(image) => image.naturalWidth") == 360
    assert page.locator("#pane .curve polyline").count() == 1
    architecture = study.trials[front[1]].user_attrs[ARCHITECTURE]
    for text in ("seed of weights and order", "width", architecture):
        assert text in page.locator("#pane").inner_text()

    pictures = page.locator("#gallery figure")
    assert pictures.count() == len(front)
    pictures.last.scroll_into_view_if_needed()
    image = pictures.last.locator("img.drawing")
    image.evaluate("async (image) => await image.decode()")
    pictures.last.get_by_role("button").click()
    page.get_by_role("heading", name=f"Trial {front[-1]}", exact=True).wait_for()


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


def test_the_page_shows_other_devices(opened, study):
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


def test_the_history_marks_a_trial_once(opened):
    study = make_study(names=("a", "b"))
    for trial, values in enumerate(([3.0, 1.0], [1.0, 5.0], [2.0, 3.0], [5.0, 4.0])):
        attrs = {BASELINE: "net"} if trial == 0 else {}
        study.add_trial(create_trial(values=values, user_attrs=attrs))
    page = opened(study)
    page.wait_for_selector("#holder-history.drawn")
    # The line of a baseline in both panels; a place in that of `b`.
    for trial, marks in ((0, ["polyline"] * 2), (2, ["circle"])):
        page.locator(f"tr[data-trial='{trial}'] button.trial").click()
        page.wait_for_selector(f"#holder-history {marks[0]}.pinned", state="attached")
        found = page.locator("#holder-history .rings .pinned")
        assert found.evaluate_all("all => all.map((one) => one.tagName)") == marks


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
