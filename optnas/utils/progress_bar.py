"""Shows the progress of a few long steps."""

from __future__ import annotations

import sys

from rich.progress import BarColumn, Progress as Bar, TaskID, TextColumn

from optnas.utils.terminal import Terminal


class Steps:
    """Prints a line for each finished step; on a terminal, a bar below shows the running one.

    Args:
        total: The number of steps.
        unit: The noun for the steps, in plural (`seeds`).
        console: Where to write; standard error by default.
    """

    def __init__(self, total: int, unit: str, console: Terminal | None = None) -> None:
        self._total = total
        self._console = console or Terminal(file=sys.stderr)
        self._done = 0
        self._bar: Bar | None = None
        self._task = TaskID(0)
        if self._console.is_terminal:
            # No thread redraws it: that would disturb the latencies that are measured meanwhile.
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
        """Prints a message on a line of its own, unless it is empty."""
        if text:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def running(self, text: str) -> None:
        """Shows the state of the running step in the bar, if there is one."""
        if self._bar is not None:
            self._bar.update(self._task, description=text, refresh=True)

    def done(self, text: str) -> None:
        """Prints the line of a finished step, and advances the bar."""
        self._done += 1
        self.say(f"[{self._done}/{self._total}] {text}")
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description="", refresh=True)
