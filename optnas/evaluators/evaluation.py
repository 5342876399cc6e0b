"""Runs an evaluation on a device that others use too, and checks the scores it returns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from optnas.candidate import Candidate
from optnas.devices.device import resolve_device
from optnas.devices.sharing import Sharing
from optnas.errors import CandidateError, InputError
from optnas.evaluators.abilities import TEST
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report


def training_device(evaluator: Evaluator, device: str) -> torch.device:
    """Where an evaluator trains: on its own device if it names one, else on the study's."""
    own = evaluator.device
    return resolve_device(device if own is None or own == "auto" else str(own))


@contextmanager
def reporting(
    evaluator: Evaluator,
    device: str,
    candidate: Candidate,
    *,
    store: Callable[[list[dict[str, float]]], None] | None = None,
    listeners: Sequence[Callable[[int, Mapping[str, float]], None]] = (),
    folder: Path | None = None,
    final: bool = False,
    took: Callable[[float], None] | None = None,
) -> Iterator[Report]:
    """The report for one evaluation, in a block that shares the device with latency measurements.

    Args:
        evaluator: It will be given the report.
        device: That of the study (see `training_device`).
        candidate: What is evaluated. At the end its model has the weights that the evaluator names.
        store: See `Report`.
        listeners: See `Report`.
        folder: See `Report`.
        final: See `Report`.
        took: Called at the end, also after an error, with the seconds that the block took, or with
            those before its checkpoint, too. Time spent waiting for measurements doesn't count.
    """
    where = training_device(evaluator, device)
    sharing = nullcontext() if evaluator.device is None else Sharing(where)
    started = time.perf_counter()
    with sharing as shared:

        def clock() -> float:
            return time.perf_counter() - started - (shared.waited if shared else 0.0)

        give_way = shared.give_way if shared else None
        report = Report(store, listeners, give_way, folder, lambda: candidate.model, final, clock)
        try:
            yield report
            report.take_weights()
        finally:
            report.close()
            if took is not None:
                took(report.seconds)


def promised(evaluator: Evaluator, scores: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The scores that an evaluator provides, one by one; what is missing or None comes last.

    A training that diverged may have no number for one score next to NaN for another.

    Raises:
        InputError: A score is missing, or is no number.
        CandidateError: A score is NaN or infinite.
    """
    for name in sorted(evaluator.provides, key=lambda name: scores.get(name) is None):
        if name not in scores:
            others = [score for score in scores if score not in evaluator.provides]
            raise InputError(
                f"the evaluator gave no score {name!r}, it returned "
                f"{', '.join(scores) or 'nothing'}: {_way_to_name(name, others)} (an evaluator "
                "with `provides` names its scores there, too)"
            )
        yield name, finite(name, scores[name])


def _way_to_name(missing: str, others: Sequence[str]) -> str:
    """What to do about a missing score where there are others that nothing asks for."""
    if not others:
        return "return it, too, or leave it out of the objectives"
    if len(others) == 1:
        return f"return {others[0]!r} as {missing!r}, or name the objective {others[0]!r}"
    return f"return one of them as {missing!r}, or name the objective as one of them"


def tested(scores: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The scores on the test part that a final training returned, one by one.

    Raises:
        InputError: There is none, or one is no number.
        CandidateError: One is NaN or infinite.
    """
    found = {name: score for name, score in scores.items() if name.startswith(TEST)}
    if not found:
        raise InputError(
            f"the final training must return scores whose names begin with {TEST}, such as "
            f"{{'test_loss': 0.3}}; it returned {', '.join(scores) or 'nothing'}"
        )
    for name, score in found.items():
        yield name, finite(name, score)


def finite(name: str, given: float) -> float:
    """A measured value as a float.

    Raises:
        InputError: The value is no number.
        CandidateError: The value is NaN or infinite.
    """
    try:
        value = float(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a number, got {given!r}") from error
    if not math.isfinite(value):
        raise CandidateError(f"{name} is {value}")
    return value
