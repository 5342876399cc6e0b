"""The texts of figures: names, hover texts, short numbers, and notes on what is left out."""

from __future__ import annotations

import html
import re
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


def told_apart(names: Sequence[object], most: int) -> list[str]:
    """Names as `label` has them, but shortened so that no two become one.

    What is left out is their end, their middle or their beginning: the first that tells all apart,
    or the beginning, as the last part of a path says most.
    """
    lines = [" ".join(str(name).split()) for name in names]
    found: list[str] = []
    for kept in (most - 1, most // 2, 0):
        found = [
            line if len(line) <= most else f"{line[:kept]}…{line[len(line) - most + 1 + kept :]}"
            for line in lines
        ]
        if len(set(found)) == len(set(lines)):
            break
    return [html.escape(line, quote=False) for line in found]


def broken(text: object, most: int = 30, width: int = 14) -> str:
    """A name on short lines, which end at its joints; shortened and escaped like `label`."""
    lines = [""]
    for part in re.findall(r"[^_.\s]*[_.\s]?", short(text, most)):
        if lines[-1] and len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "<br>".join(html.escape(line.rstrip(), quote=False) for line in lines)


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
