"""Links lead somewhere, and files that a page names are there."""

import re

import pytest
from pages import PAGES, ROOT, anchors, name, prose

ASSETS = ROOT / "docs" / "figures"
MADE_BY_RUNS = (".db", "_front.html", "_weights", "_logs", "_retrained", "_shared", "_report.html")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{target} isn't there"
        if anchor:
            assert anchor in anchors(there), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_of_the_site_link_to_each_other_alone(page):
    """Where the site is built, nothing lies outside of docs/."""
    if not name(page).startswith("docs/"):
        return
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"https?://", target):
            there = (page.parent / target.partition("#")[0]).resolve()
            assert there.is_relative_to(ROOT / "docs"), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist(page):
    text = page.read_text()
    for path in re.findall(
        r"(?<![\w/])((?:optnas|studies|benchmarks|tests|docs)/[\w/.-]*\w)", text
    ):
        if not path.endswith(MADE_BY_RUNS):
            assert (ROOT / path).exists(), path


def test_every_page_is_reached_from_the_first():
    first = ROOT / "docs" / "index.md"
    reached, waiting = set(), [first]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            for target in re.findall(r"\]\(([^)\s#]+\.md)", prose(page)):
                if not target.startswith("http"):
                    waiting.append((page.parent / target).resolve())
    assert reached >= set((ROOT / "docs").rglob("*.md"))


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "zensical.toml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert f'"{page.relative_to(ROOT / "docs").as_posix()}"' in navigation, page


def test_every_figure_is_shown():
    shown = "".join(page.read_text() for page in PAGES)
    for figure in ASSETS.iterdir():
        assert f"figures/{figure.name}" in shown, figure.name
