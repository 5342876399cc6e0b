"""What a person sees while a few long steps go on."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, TaskID, TextColumn


class Steps:
    """One line for each step that is done; below them, on a terminal, a bar and the running one.

    Args:
        total: Steps to do.
        unit: What they are called.
        console: Where to write; standard error by default.
    """

    def __init__(self, total: int, unit: str, console: Console | None = None) -> None:
        self._total = total
        self._console = console or Console(file=sys.stderr)
        self._done = 0
        self._bar: Bar | None = None
        self._task = TaskID(0)
        if self._console.is_terminal:
            # Redrawn when something has happened, not by a thread: latencies are measured here.
            self._bar = Bar(
                TextColumn(f"{{task.completed}}/{{task.total}} {unit}"),
                BarColumn(),
                TextColumn("{task.description}", markup=False),
                console=self._console,
                auto_refresh=False,
            )
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Steps:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Something a person should know, on a line of its own; nothing if it is empty."""
        if text:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def running(self, text: str) -> None:
        """Shows how far the running step is, where there is a bar."""
        if self._bar is not None:
            self._bar.update(self._task, description=text, refresh=True)

    def done(self, text: str) -> None:
        """A step is done."""
        self._done += 1
        self.say(f"[{self._done}/{self._total}] {text}")
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description="", refresh=True)
