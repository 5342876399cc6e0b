"""The pages that people read (README, CONTRIBUTING, CHANGELOG, docs/), and what is on them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NO_TEST = "<!-- no-test -->\n"
FENCE = re.compile(
    rf"^(?P<indent> *)(?P<no_test>{NO_TEST})?(?: *)```(?P<info>[^\n]*)\n(?P<code>.*?)^ *```$",
    re.M | re.S,
)


def name(page):
    """A page's path in the checkout."""
    return page.relative_to(ROOT).as_posix()


def blocks(page, language):
    """The blocks of a page in a language, each with its first line's number from 0.

    Those after `<!-- no-test -->` are left out.
    """
    text = page.read_text()
    for fence in FENCE.finditer(text):
        if fence["info"].split(" ")[0] == language and not fence["no_test"]:
            indent = fence["indent"]
            lines = fence["code"].splitlines()
            first = text.count("\n", 0, fence.start("code"))
            yield first, [line.removeprefix(indent) for line in lines]


def code(page):
    """The Python blocks of a page as one program, each on the lines that it has on the page."""
    lines = []
    for first, block in blocks(page, "python"):
        lines += [""] * (first - len(lines)) + block
    return "\n".join(lines)


def prose(page):
    """A page without its blocks."""
    return FENCE.sub("", page.read_text())


def anchors(page):
    """What a link to a page may name after `#`: its headings, as GitHub and the site have them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.M):
        text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        found.add(text.replace(" ", "-"))
    return found


def commands_in(page):
    """The lines of a page's bash blocks that call optnas, without their comments."""
    for _, block in blocks(page, "bash"):
        for line in block:
            command = line.split("  #")[0].strip()
            if command.startswith("optnas "):
                yield command
