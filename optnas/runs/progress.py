"""The display of a run: a line that is kept up to date, or lines."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.front import front
from optnas.pareto.hypervolume import volume_text
from optnas.pareto.study_hypervolume import hypervolume, is_settled
from optnas.runs.bars import Line, NotebookLine, TerminalLine
from optnas.runs.observer import Observer
from optnas.study.attributes import BASELINE, DUPLICATE_OF, FAILURE, PRUNED, is_counted
from optnas.study.objectives import objective_names
from optnas.utils import notebook
from optnas.utils.notebook import in_notebook
from optnas.utils.terminal import Terminal
from optnas.utils.text import duration, number, plural

SHARE, AT_LEAST = 0.25, 20
"""The display warns when this share of a run's trials, of at least this number, are repeats."""


class Progress(Observer):
    """Shows a progress bar on a terminal and in a notebook; elsewhere, one line for each trial.

    It is made before the study is open, because what reports epochs to it is part of the objective
    that the study is opened with; the trials are shown inside `following`.

    Args:
        console: Where to write; standard error by default.
    """

    def __init__(self, console: Terminal | None = None) -> None:
        self._console = console or Terminal(file=sys.stderr)
        self._ended = self._repeats = 0
        self._warned = False
        self._line: Line | None = None
        self._in_notebook = in_notebook() and not self._console.quiet

    @contextmanager
    def following(self, study: Study, trials: int) -> Iterator[None]:
        """Shows the trials that a study runs inside the block.

        Args:
            study: The study, as it stands when the run begins.
            trials: Trials to reach (see `is_counted`).
        """
        self._study, self._trials = study, trials
        self._names = objective_names(study)
        counted = counted_trials(study)
        self._before = len(counted)
        self._started = time.monotonic()
        if not self.shows_epochs:
            yield
            return
        shown = trials, self._before, self._summary(counted)
        if self._in_notebook:
            self._line = NotebookLine(*shown)
        else:
            self._line = TerminalLine(self._console, *shown)
        with self._line:
            yield

    @property
    def shows_epochs(self) -> bool:
        """Whether there is a bar, which shows them."""
        return self._in_notebook or self._console.is_terminal

    def say(self, text: str) -> None:
        """Prints a message for the user on a line of its own."""
        if self._line is not None:
            self._line.say(text)
        else:
            self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def recovered(self, numbers: list[int]) -> None:
        """Prints which lost trials are repeated."""
        self.say(f"repeating lost trials: {', '.join(map(str, numbers))}")

    def waiting(self, numbers: list[int]) -> None:
        """Prints which trials the run waits for."""
        listed = ", ".join(map(str, numbers))
        self.say(f"waiting for trials that other processes are running: {listed}")

    def choosing(self, number: int) -> None:
        """Shows that the sampler still chooses a trial's architecture."""
        text = f"trial {number}: choosing an architecture"
        if self._line is None:
            self.say(text)
        else:
            self._line.show(f"{self._summary_text}  · {text}")

    def epoch(self, number: int, step: int, scores: Mapping[str, float]) -> None:
        """Shows the latest epoch of a running trial."""
        if self._line is not None:
            name, score = next(iter(scores.items()), ("", math.nan))
            text = f"{self._summary_text}  · trial {number}, epoch {step + 1}, {name} "
            self._line.show(f"{text}{score:.4g}")

    def finished(self, study: Study, trial: FrozenTrial) -> None:
        """Shows a trial that has ended, and the state of the study."""
        self._ended += 1
        self._repeats += DUPLICATE_OF in trial.user_attrs
        self._warn_if_repeating()
        counted = counted_trials(study)
        done, summary = len(counted), self._summary(counted)
        if self._line is not None:
            self._line.show(summary, done)
            if trial.state == TrialState.FAIL:
                self._line.say(self._outcome(trial))
            return
        self._print(f"[{done}/{self._trials}] {self._outcome(trial)}  |  {summary}")

    def show_front(self) -> None:
        """Shows the front when the run has ended, or says where to find it."""
        found = front(self._study)
        if self._in_notebook and found:
            notebook.show(found)
        elif found:
            self.say(
                f"the front has {plural(len(found), 'network')}: optnas.front(study) has the "
                "trials, optnas.to_frame(study) a table of all networks"
            )

    def _warn_if_repeating(self) -> None:
        """Warns once that many trials only repeat earlier ones."""
        if self._warned or self._ended < AT_LEAST or self._repeats < SHARE * self._ended:
            return
        self._warned = True
        self.say(
            f"{self._repeats} of the last {self._ended} trials repeat earlier ones: their values "
            "are reused, and they count. The space may be nearly exhausted (`optnas status` "
            "shows its size), or the sampler has settled"
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
        volume = hypervolume(self._study, complete) if is_settled(complete) else None
        parts = [f"front {len(front(self._study, complete))}"]
        if volume is not None:
            parts.append(f"hypervolume {volume_text(volume, 3)}")
        done = len(counted) - self._before
        if done > 0:
            seconds = (
                (time.monotonic() - self._started) / done * max(self._trials - len(counted), 0)
            )
            parts.append(f"{duration(seconds)} left")
        self._summary_text = "  ".join(parts)
        return self._summary_text


def counted_trials(study: Study) -> list[FrozenTrial]:
    """The trials of a study that count: COMPLETE ones, and those that were stopped early."""
    return [t for t in study.get_trials(deepcopy=False) if is_counted(t)]


def number_counted(study: Study) -> int:
    """The number of trials of a study that count."""
    return len(counted_trials(study))
