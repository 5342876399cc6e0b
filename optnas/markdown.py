"""Text that a person gave, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence


def plain(text: str) -> str:
    """Text on a line, of which nothing is taken for Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#~&])", r"\\\1", re.sub(r"\s", " ", text))


def code(text: str) -> str:
    """Text as code inside a line."""
    text = re.sub(r"\s", " ", text)
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text.strip() else "(empty)"


def block(text: str, language: str = "") -> str:
    """Lines of code."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its head, and cells are Markdown already."""
    return "\n".join(map(_row, [rows[0], ["---"] * len(rows[0]), *rows[1:]]))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
