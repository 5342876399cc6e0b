"""Stops trainings that can't reach the front any more.

Optuna's pruners compare one value with those of other trials, and don't work in studies with
several objectives. Here the best point that a trial may still reach is compared with the front. Its
costs are known before the training; its scores are assumed to improve, from this step on, as much
as those of any finished trial did. If even that point is dominated, further training adds nothing.

The largest improvement of all finished trials is used, and no quantile below it. Of n finished
trials and one more of their kind, the last one improves most with a probability of 1 / (n + 1).
Stopped trials don't show how they would have ended, so the finished ones are a selection: a
quantile of them would stop more and more trials over time; the largest improvement doesn't.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from optuna import TrialPruned
from optuna.trial import FrozenTrial, Trial, TrialState

from optnas.pareto.dominance import Array, dominates
from optnas.pareto.front import front_of, is_feasible
from optnas.study.attributes import CURVE, DUPLICATE_OF, STOPPED
from optnas.study.objectives import Direction
from optnas.utils.text import number

LEAST_CURVES = 8
"""A trial is stopped at a step only if this number of finished trials trained beyond it."""
READ_SECONDS = 1.0
"""Pause between two reads of the study while one trial trains: other workers finish trials."""

Curve = Sequence[Mapping[str, float]]


class EarlyStopping:
    """Compares a running trial with the front after every step of its training.

    Each score may still improve, from its best value so far to its final one, as much as that of
    any finished trial did (see `prospects`). The trial is stopped if a feasible COMPLETE one
    dominates it even then.

    No trial is stopped before 8 finished trials have reported beyond the step, nor at its last
    step, nor if an objective that is a score isn't reported at every step.

    Args:
        objectives: All objectives in order, each with its direction.
        scores: Names of the evaluator's scores; the other objectives are known before training.
    """

    def __init__(self, objectives: Mapping[str, Direction], scores: Collection[str]) -> None:
        self._names = list(objectives)
        self._signs = np.array([-1.0 if d == "maximize" else 1.0 for d in objectives.values()])
        self._scored = [i for i, name in enumerate(objectives) if name in scores]
        self._forget()

    def _forget(self) -> None:
        self._study: tuple[str, int] | None = None
        self._trial_id, self._read_at = -1, 0.0
        self._seen: set[int] = set()
        self._front: list[FrozenTrial] = []
        self._curves: list[tuple[dict[float, Array], Array]] = []
        self._from: dict[float, tuple[Array, Array]] = {}

    def check(self, trial: Trial, measured: Mapping[str, float], curve: Curve) -> None:
        """Stops a trial that can't reach the front any more.

        Args:
            trial: The running trial.
            measured: Its values by name, of all objectives that aren't scores.
            curve: Its scores so far (`Report.curve`).

        Raises:
            optuna.TrialPruned: The trial named in the message dominates it whatever comes. The user
                attribute `stopped_early` has the step, the best point, and that trial's number.
        """
        best = self._best_so_far(curve)
        if not best:
            return
        self._read(trial)
        step = curve[-1]["step"]
        before, after = self._improved_from(step)
        if len(after) < LEAST_CURVES:
            return
        point = self._signs * [measured.get(name, 0.0) for name in self._names]
        for i, now, then, end in zip(self._scored, best[step], before.T, after.T, strict=True):
            point[i] = prospects(now, then, end, maximized=self._signs[i] < 0).min()
        for member in self._front:
            values = self._signs * member.values
            if dominates(values, point):
                found = {
                    "step": step,
                    "at_best": (self._signs * point).tolist(),
                    "dominated_by": member.number,
                }
                trial.set_user_attr(STOPPED, found)
                raise TrialPruned(self._why(found, len(after)))

    def _why(self, found: Mapping[str, Any], trials: int) -> str:
        scores = " and ".join(
            f"{self._names[i]} {number(found['at_best'][i])}" for i in self._scored
        )
        return (
            f"stopped after epoch {found['step'] + 1}: at best it ends with {scores} (no more did "
            f"any of {trials} finished trials improve from there), and trial "
            f"{found['dominated_by']} dominates even that"
        )

    def _read(self, trial: Trial) -> None:
        """Adds the trials that have finished since the last read."""
        study = trial.study
        if self._study != (study.study_name, id(study._storage)):
            self._forget()
            self._study = study.study_name, id(study._storage)
        now = time.monotonic()
        if trial._trial_id == self._trial_id and now - self._read_at < READ_SECONDS:
            return
        self._trial_id, self._read_at = trial._trial_id, now
        new = [
            t
            for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if t.number not in self._seen
        ]
        if not new:
            return
        self._seen.update(t.number for t in new)
        own = [t for t in new if DUPLICATE_OF not in t.user_attrs]
        self._front = front_of([*self._front, *filter(is_feasible, own)], study.directions)
        for t in own:
            best = self._best_so_far(t.user_attrs.get(CURVE, ()))
            if best:
                best.popitem()  # no step comes after the last one
                self._curves.append((best, (self._signs * t.values)[self._scored]))
        self._from.clear()

    def _improved_from(self, step: float) -> tuple[Array, Array]:
        """The scores of the finished trials that trained beyond a step.

        Returns:
            Their best so far at the step, and their final ones: two arrays of shape
            `(trials, scores)`, as losses.
        """
        if step not in self._from:
            pairs = [(best[step], end) for best, end in self._curves if step in best]
            self._from[step] = np.array([b for b, _ in pairs]), np.array([e for _, e in pairs])
        return self._from[step]

    def _best_so_far(self, curve: Curve) -> dict[float, Array]:
        """The best value of each score up to each step, as losses; empty if one is missing."""
        names = [self._names[i] for i in self._scored]
        rows = np.array([[row.get(name, np.nan) for name in names] for row in curve])
        if not rows.size or not np.isfinite(rows).all():
            return {}
        best = np.minimum.accumulate(self._signs[self._scored] * rows, axis=0)
        return dict(zip((row["step"] for row in curve), best, strict=True))


def prospects(now: float, before: Array, after: Array, *, maximized: bool) -> Array:
    """Final values of a score if it improved from here on as those of other trials did.

    A loss that is never below 0 improves by the same factor. For a share from 0 to 1 that is
    maximised, such as an accuracy, the distance to 1 shrinks by the same factor. Any other score
    improves by the same difference.

    Args:
        now: The score, as a loss (a maximised one negated).
        before: Those of other trials at the same step, of shape `(trials,)`.
        after: Their final ones, of the same shape.
        maximized: Whether the score is maximised.

    Returns:
        Losses of shape `(trials,)`.
    """
    least, most = (-1.0, 0.0) if maximized else (0.0, np.inf)
    every = np.array([now, *before, *after])
    with np.errstate(over="ignore", invalid="ignore"):  # a NaN stops no trial
        if (every < least).any() or (every > most).any():
            return now + (after - before)
        gap = before - least
        factor = np.divide(after - least, gap, out=np.ones(len(gap)), where=gap > 0)
        return least + (now - least) * factor
