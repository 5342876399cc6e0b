"""Escapes text for Markdown: text that a user wrote may hold anything."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

_SPECIAL = re.compile(r"[\\`*{}\[\]<>#~&$]|(?<![a-zA-Z0-9])_|_(?![a-zA-Z0-9])")
_LINK = re.compile(r"://|www\.|@", re.IGNORECASE)
_BLOCK = re.compile(r"(?m)^(?:(\d+)(?=[.)](?:\s|$))|(?=[-+=:|]))")


def plain(text: str) -> str:
    """Text on one line, escaped so that nothing in it becomes markup or a link."""
    line = re.sub(r"\s", " ", text)
    unlinked = _LINK.sub(lambda m: f"{m[0][0]}\u2060{m[0][1:]}", line)  # a zero-width joiner
    return _SPECIAL.sub(r"\\\g<0>", unlinked)


def wrapped(text: str, width: int) -> str:
    """Text as in `plain`, on lines of at most `width` characters (counted before escaping)."""
    lines = "\n".join(map(plain, textwrap.wrap(" ".join(text.split()), width)))
    return _BLOCK.sub(r"\1\\", lines).replace("\n", "\\\n")  # a \ at the end breaks a line


def code(text: str) -> str:
    """Text as code inside a line; `(empty)` for blank text."""
    text = re.sub(r"\s", " ", text)
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text.strip() else "(empty)"


def block(text: str, language: str = "") -> str:
    """Text as a block of code."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table with the first row as its head. The cells must be Markdown already."""
    return "\n".join(map(_row, [rows[0], ["---"] * len(rows[0]), *rows[1:]]))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
