"""Runs the evaluator of a trial: the curve is stored, listeners are called, the time is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from optnas.candidate import Candidate
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.evaluation import reporting
from optnas.objective.early_stopping import EarlyStopping
from optnas.study import attributes as attr

Listener = Callable[[Trial, int, Mapping[str, float]], None]
"""Called after each epoch with the trial, the step and the scores."""


def run_evaluator(
    evaluator: Evaluator,
    trial: Trial,
    candidate: Candidate,
    recipe: Any,
    *,
    device: str,
    folder: Path | None,
    measured: Mapping[str, float],
    listeners: Sequence[Listener],
    stopping: EarlyStopping | None,
) -> tuple[dict[str, float], Report]:
    """Runs the evaluator, which shares the device with others.

    Args:
        evaluator: The evaluator.
        trial: The trial.
        candidate: Its candidate.
        recipe: Its recipe.
        device: Where it runs.
        folder: For checkpoints; None keeps none.
        measured: The candidate's costs.
        listeners: Called after each epoch.
        stopping: Ends the trial early; baselines are trained to the end.

    Returns:
        The scores, and what the training reported.
    """

    def stop_early(step: int, scores: Mapping[str, float]) -> None:
        if stopping is not None and attr.BASELINE not in trial.user_attrs:
            stopping.check(trial, measured, report.curve)

    with reporting(
        evaluator,
        device,
        candidate,
        store=lambda curve: trial.set_user_attr(attr.CURVE, curve),
        listeners=[*(partial(listener, trial) for listener in listeners), stop_early],
        folder=folder,
        took=lambda seconds: trial.set_user_attr(attr.TRAIN_SECONDS, seconds),
    ) as report:
        return evaluator.evaluate(candidate, recipe, report), report
