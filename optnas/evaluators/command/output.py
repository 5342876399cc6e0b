"""The output of a command: lines for patterns, the last ones for messages, and a bounded log."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self, TextIO

from optnas.utils.terminal import visible

LONGEST = 10_000
"""Characters of a line that are read; the rest of it is dropped."""
LAST, SHOWN = 5, 300
"""Lines at the end that a message shows, and characters of each."""
LOGGED = 2**20
"""Bytes of the log's head, and of each of the two parts that its tail lies in."""
HEAD, TAIL, BEFORE = "output.log", "output_tail.log", "output_tail_before.log"

_ENDS = re.compile("([\r\n])")
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, movements
    "|\x1b[\\]PX^_].*?(?:\x07|\x1b\\\\|\\Z)"  # titles, links
    "|\x1b[ -/]*[0-~]"
)


class Lines:
    r"""Cuts bytes into lines as a person sees them on a terminal.

    A carriage return ends a line too, as progress bars use it. Escape sequences are removed, and
    other control characters are shown as `\x07`.

    Attributes:
        last: The last lines that aren't empty. What a carriage return has overwritten isn't there.
    """

    def __init__(self) -> None:
        self.last: deque[str] = deque(maxlen=LAST)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._open = ""
        self._is_overwritten = False

    def read(self, chunk: bytes, *, final: bool = False) -> Iterator[str]:
        """The lines that a further chunk completes; those that are empty are left out."""
        *pieces, rest = _ENDS.split(self._decoder.decode(chunk, final))
        for piece, end in zip(pieces[::2], pieces[1::2], strict=True):
            self._add(piece)
            yield from self._complete(end)
        self._add(rest)
        if final:
            yield from self._complete("\n")

    def _add(self, text: str) -> None:
        self._open += text[: LONGEST - len(self._open)]

    def _complete(self, end: str) -> Iterator[str]:
        line = visible(_ESCAPES.sub("", self._open)).rstrip()
        self._open = ""
        if line:
            if self._is_overwritten:
                self.last.pop()
            self.last.append(line[:SHOWN])
            yield line
        # An end of Windows is a carriage return and then an empty line, which overwrites nothing.
        self._is_overwritten = end == "\r" and (bool(line) or self._is_overwritten)


class BoundedLog:
    """A log of any number of lines: its head, and its tail in two files that take turns.

    A disk that is full, or a folder that is gone, ends the log and nothing else.

    Args:
        folder: Where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: TextIO | None = None
        self._size = 0

    def __enter__(self) -> Self:
        self._begin(HEAD)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def write(self, line: str) -> None:
        """Adds a line."""
        if self._file is None:
            return
        try:
            self._size += self._file.write(f"{line}\n")
            self._file.flush()
        except OSError:
            self._file = None
            return
        if self._size > LOGGED:
            self._file.close()
            with suppress(OSError):
                (self._folder / TAIL).replace(self._folder / BEFORE)
            self._begin(TAIL)

    def _begin(self, name: str) -> None:
        self._size = 0
        try:
            self._file = (self._folder / name).open("w", encoding="utf-8", errors="replace")
        except OSError:
            self._file = None
