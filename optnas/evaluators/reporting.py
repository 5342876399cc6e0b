"""An evaluation beside others on the same device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from optnas.devices.device import resolve_device
from optnas.devices.sharing import Sharing
from optnas.errors import CandidateError, InputError
from optnas.evaluators.base import Evaluator, Report


def training_device(evaluator: Evaluator, device: str) -> torch.device:
    """Where an evaluator trains: on the study's device, unless it names one itself."""
    return resolve_device(device if evaluator.device == "auto" else str(evaluator.device))


@contextmanager
def reporting(
    evaluator: Evaluator,
    device: str,
    *,
    store: Callable[[list[dict[str, float]]], None] | None = None,
    listeners: Sequence[Callable[[int, Mapping[str, float]], None]] = (),
    folder: Path | None = None,
    took: Callable[[float], None] | None = None,
) -> Iterator[Report]:
    """The report for one evaluation; while it lasts, latency measurements get their turns.

    Args:
        evaluator: What will be given the report.
        device: Of the study (see `training_device`).
        store: See `Report`.
        listeners: See `Report`.
        folder: See `Report`.
        took: Told at the end, come what may, how many seconds it took, those spent waiting for
            measurements left out.
    """
    where = training_device(evaluator, device)
    sharing = Sharing(where) if evaluator.trains else nullcontext()
    started = time.perf_counter()
    with sharing as shared:
        report = Report(store, listeners, shared.give_way if shared else None, folder)
        try:
            yield report
        finally:
            report.close()
            if took is not None:
                waited = shared.waited if shared else 0.0
                took(time.perf_counter() - started - waited)


def promised(evaluator: Evaluator, scores: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The scores that an evaluator provides, one by one.

    Raises:
        InputError: One of them isn't there, or is no number.
        CandidateError: It is NaN or infinite.
    """
    for name in evaluator.provides:
        if name not in scores:
            raise InputError(
                f"the evaluator promises {name!r} but returned {', '.join(scores) or 'nothing'}"
            )
        yield name, finite(name, scores[name])


def finite(name: str, given: float) -> float:
    """A measured value as a float.

    Raises:
        InputError: It is no number.
        CandidateError: It is NaN or infinite.
    """
    try:
        value = float(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a number, got {given!r}") from error
    if not math.isfinite(value):
        raise CandidateError(f"{name} is {value}")
    return value
