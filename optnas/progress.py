"""What a person sees while a study runs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from types import TracebackType

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from optnas.pareto import front, hypervolume, objective_names
from optnas.text import duration, number
from optnas.trials import BASELINE, DUPLICATE_OF, FAILURE, PRUNED


class Progress:
    """A progress bar on a terminal; elsewhere one plain line for each trial.

    Args:
        study: The study, as it stands when the run begins.
        trials: COMPLETE trials to reach.
        console: Where to write; standard error by default.
    """

    def __init__(self, study: Study, trials: int, console: Console | None = None) -> None:
        self._study = study
        self._trials = trials
        self._console = console or Console(file=sys.stderr)
        self._names = objective_names(study)
        self._before = count_complete(study)
        self._started = time.monotonic()
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
                self._summary(self._before), total=trials, completed=self._before
            )

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def recovered(self, numbers: list[int]) -> None:
        """Says which lost trials are taken up again."""
        listed = ", ".join(map(str, numbers))
        self._console.print(f"lost trials taken up again: {listed}", highlight=False)

    def epoch(self, trial: Trial, step: int, scores: Mapping[str, float]) -> None:
        """Shows how far the running trial is."""
        if self._bar is not None:
            name, score = next(iter(scores.items()), ("", math.nan))
            text = f"{self._summary_text}  · trial {trial.number}, epoch {step + 1}, {name} "
            self._bar.update(self._task, description=f"{text}{score:.4g}", refresh=True)

    def finished(self, study: Study, trial: FrozenTrial) -> None:
        """Shows a trial that has ended, and what the study has come to."""
        complete = count_complete(study)
        summary = self._summary(complete)
        if self._bar is not None:
            self._bar.update(self._task, completed=complete, description=summary, refresh=True)
            if trial.state == TrialState.FAIL:
                self._bar.console.print(self._outcome(trial), highlight=False, markup=False)
            return
        line = f"[{complete}/{self._trials}] {self._outcome(trial)}  |  {summary}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

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

    def _summary(self, complete: int) -> str:
        volume = hypervolume(self._study)
        parts = [f"front {len(front(self._study))}"]
        if volume is not None:
            parts.append(f"hypervolume {volume:.3f}")
        done = complete - self._before
        if done > 0:
            seconds = (time.monotonic() - self._started) / done * max(self._trials - complete, 0)
            parts.append(f"{duration(seconds)} left")
        self._summary_text = "  ".join(parts)
        return self._summary_text


def count_complete(study: Study) -> int:
    """How many trials of a study are COMPLETE."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
