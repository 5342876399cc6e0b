"""The line that a run's display keeps up to date: on a terminal, and in a notebook."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Self

from rich.progress import BarColumn, Progress as Bar, TextColumn

from optnas.utils.html import escaped
from optnas.utils.notebook import Output
from optnas.utils.terminal import Terminal

OFTEN = 0.1
"""Seconds between two changes of a notebook's line while nothing but an epoch has ended."""
MESSAGES = 20
"""A notebook shows this many messages, the latest."""


class Line(ABC):
    """A line that shows how many trials are done, and a text; a context manager."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def show(self, text: str, done: int | None = None) -> None:
        """Replaces the text, and the number of trials if there is a new one."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Shows a message that stays."""


class TerminalLine(Line):
    """A progress bar; messages are printed above it."""

    def __init__(self, console: Terminal, total: int, done: int, text: str) -> None:
        self._console = console
        # Redrawn when something has happened, not by a thread: latencies are measured here.
        self._bar = Bar(
            TextColumn("{task.completed}/{task.total} trials"),
            BarColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            auto_refresh=False,
        )
        self._task = self._bar.add_task(text, total=total, completed=done)
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, text: str, done: int | None = None) -> None:
        """Draws the bar anew."""
        self._bar.update(self._task, description=text, completed=done, refresh=True)

    def say(self, text: str) -> None:
        """Prints the message."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class NotebookLine(Line):
    """A progress bar in one output of a notebook, with the messages below it."""

    def __init__(self, total: int, done: int, text: str) -> None:
        self._total, self._done, self._text = total, done, text
        self._messages: list[str] = []
        self._output = Output(self._html())
        self._shown = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._output.show(self._html())

    def show(self, text: str, done: int | None = None) -> None:
        """Replaces the output, unless it was just now and no trial has ended."""
        self._text = text
        self._done = self._done if done is None else done
        now = time.monotonic()
        if done is not None or now >= self._shown + OFTEN:
            self._shown = now
            self._output.show(self._html())

    def say(self, text: str) -> None:
        """Adds the message."""
        self._messages.append(text)
        self._output.show(self._html())

    def _html(self) -> str:
        latest = self._messages[-MESSAGES:]
        more = len(self._messages) - len(latest)
        lines = ([f"({more} earlier messages)"] if more else []) + latest
        said = "".join(f"<div style='white-space:pre-wrap'>{escaped(line)}</div>" for line in lines)
        return (
            f"<div><progress value='{self._done}' max='{self._total}' "
            "style='width:12em;vertical-align:middle'></progress> "
            f"{self._done}/{self._total} trials&ensp;{escaped(self._text)}</div>"
            f"<div style='font-size:90%;opacity:.75'>{said}</div>"
        )
