"""What a person sees while a study runs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, TaskID, TextColumn

from optnas.pareto.front import front
from optnas.pareto.hypervolume import hypervolume
from optnas.study.attributes import BASELINE, DUPLICATE_OF, FAILURE, PRUNED, is_counted
from optnas.study.objectives import objective_names
from optnas.utils.text import duration, number

SHARE, AT_LEAST = 0.25, 20
"""It is said when this share of a run's trials, of so many at least, repeat earlier ones."""


class Progress:
    """A progress bar on a terminal; elsewhere one plain line for each trial.

    Args:
        study: The study, as it stands when the run begins.
        trials: Trials to reach (see `is_counted`).
        console: Where to write; standard error by default.
    """

    def __init__(self, study: Study, trials: int, console: Console | None = None) -> None:
        self._study = study
        self._trials = trials
        self._console = console or Console(file=sys.stderr)
        self._names = objective_names(study)
        counted = counted_trials(study)
        self._before = len(counted)
        self._started = time.monotonic()
        self._ended = self._repeats = 0
        self._said = False
        self._bar: Bar | None = None
        self._task = TaskID(0)
        if self._console.is_terminal:
            # Redrawn when something has happened, not by a thread: latencies are measured here.
            self._bar = Bar(
                TextColumn("{task.completed}/{task.total} trials"),
                BarColumn(),
                TextColumn("{task.description}", markup=False),
                console=self._console,
                auto_refresh=False,
            )
            self._task = self._bar.add_task(
                self._summary(counted), total=trials, completed=self._before
            )

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def interactive(self) -> bool:
        """Whether epochs are shown."""
        return self._bar is not None

    def say(self, text: str) -> None:
        """Something a person should know, on a line of its own."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def recovered(self, numbers: list[int]) -> None:
        """Says which lost trials are taken up again."""
        self.say(f"lost trials taken up again: {', '.join(map(str, numbers))}")

    def waiting(self, numbers: list[int]) -> None:
        """Says what is waited for."""
        listed = ", ".join(map(str, numbers))
        self.say(f"waiting for what other processes are running: trials {listed}")

    def began(self, number: int) -> None:
        """Nothing to show: its first epoch is."""

    def epoch(self, number: int, step: int, scores: Mapping[str, float]) -> None:
        """Shows how far a running trial is."""
        if self._bar is not None:
            name, score = next(iter(scores.items()), ("", math.nan))
            text = f"{self._summary_text}  · trial {number}, epoch {step + 1}, {name} "
            self._bar.update(self._task, description=f"{text}{score:.4g}", refresh=True)

    def finished(self, study: Study, trial: FrozenTrial) -> None:
        """Shows a trial that has ended, and what the study has come to."""
        self._ended += 1
        self._repeats += DUPLICATE_OF in trial.user_attrs
        self._say_if_repeating()
        counted = counted_trials(study)
        done, summary = len(counted), self._summary(counted)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=summary, refresh=True)
            if trial.state == TrialState.FAIL:
                self._bar.console.print(self._outcome(trial), highlight=False, markup=False)
            return
        line = f"[{done}/{self._trials}] {self._outcome(trial)}  |  {summary}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _say_if_repeating(self) -> None:
        """Says once that many trials cost nothing and find nothing."""
        if self._said or self._ended < AT_LEAST or self._repeats < SHARE * self._ended:
            return
        self._said = True
        self.say(
            f"{self._repeats} of the last {self._ended} trials repeat earlier ones: their values "
            "are reused, and they count. The space may be nearly exhausted (`optnas status` says "
            "how large it is), or the sampler has settled"
        )

    def _outcome(self, trial: FrozenTrial) -> str:
        name = trial.user_attrs.get(BASELINE)
        text = f"trial {trial.number}" + (f" ({name})" if name else "")
        if trial.state == TrialState.COMPLETE:
            same = trial.user_attrs.get(DUPLICATE_OF)
            values = "  ".join(
                f"{n} {number(v)}" for n, v in zip(self._names, trial.values, strict=True)
            )
            return f"{text}  {values}" + ("" if same is None else f"  (same as trial {same})")
        key = PRUNED if trial.state == TrialState.PRUNED else FAILURE
        return f"{text} {trial.state.name.lower()}: {trial.user_attrs.get(key, 'no reason given')}"

    def _summary(self, counted: list[FrozenTrial]) -> str:
        complete = [t for t in counted if t.state == TrialState.COMPLETE]
        volume = hypervolume(self._study, complete)
        parts = [f"front {len(front(self._study, complete))}"]
        if volume is not None:
            parts.append(f"hypervolume {volume:.3f}")
        done = len(counted) - self._before
        if done > 0:
            seconds = (
                (time.monotonic() - self._started) / done * max(self._trials - len(counted), 0)
            )
            parts.append(f"{duration(seconds)} left")
        self._summary_text = "  ".join(parts)
        return self._summary_text


def counted_trials(study: Study) -> list[FrozenTrial]:
    """The trials of a study that count: are COMPLETE, or were stopped early."""
    return [t for t in study.get_trials(deepcopy=False) if is_counted(t)]


def number_counted(study: Study) -> int:
    """How many trials of a study count."""
    return len(counted_trials(study))
