"""The texts of figures: names, hover texts, short numbers, and notes on what is left out."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence

from optnas.utils.text import number

WIDTH = 74
"""Characters of a line of small text: it fits into a figure of 500 pixels."""


def short(text: object, most: int = 40) -> str:
    """A name on one line, shortened."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def label(text: object, most: int = 40) -> str:
    """A name on one line, shortened, and escaped for what plotly takes for HTML.

    Quotes stay: plotly doesn't know their entities.
    """
    return html.escape(short(text, most), quote=False)


def wrapped(text: object, width: int = WIDTH, most: int = 8) -> str:
    """A text on several lines, shortened and escaped likewise."""
    lines = textwrap.wrap(" ".join(str(text).split()), width)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} …"]
    return "<br>".join(html.escape(line, quote=False) for line in lines)


def hover(head: str, architecture: str, values: Iterable[tuple[str, float]]) -> str:
    """The hover text of one network: `head` in bold, its architecture, its values by name."""
    lines = [f"{label(name)}: {number(value)}" for name, value in values]
    return "<br>".join([f"<b>{label(head, WIDTH)}</b>", wrapped(architecture), *lines])


def direction(maximized: bool) -> str:
    """Which way is better."""
    return "more is better" if maximized else "less is better"


def si(value: float, digits: int = 6) -> str:
    """A number, as short as it gets: 20k, 5.61M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{suffix}"
    return f"{value:.{digits}g}"


def drawn_note(drawn: Sequence[object], every: Sequence[object] | int, kind: str) -> str:
    """Says how many of some points or lines are drawn; empty where all are.

    Args:
        drawn: The ones that are drawn.
        every: All of them, or their number.
        kind: Their name, after what they are: `lines are drawn: front`.
    """
    count = every if isinstance(every, int) else len(every)
    return f"{len(drawn)} of {count} {kind}" if len(drawn) < count else ""
