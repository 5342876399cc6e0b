"""Text from elsewhere on a terminal: control characters are shown, never obeyed.

Names and architectures come from databases that somebody else may have made. A terminal obeys
escape sequences: it would write to the clipboard, or hide lines.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for tabs and ends of lines, and those that turn the direction of text."""


def visible(text: str) -> str:
    r"""The text with `\x1b` and the like in place of control characters."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Terminal(Console):
    """Rich's console; its own escape sequences alone reach the terminal.

    Rich makes a picture of `:100:`, which may stand in an architecture; here it stays.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(emoji=False, **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """As Rich's."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


class VisibleFormatter(logging.Formatter):
    """Formats a message so that a terminal obeys nothing in it."""

    def format(self, record: logging.LogRecord) -> str:
        """As usual, but visible."""
        return visible(super().format(record))
