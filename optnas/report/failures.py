"""The trials that didn't become networks of the table, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial, TrialState

from optnas.study.attributes import (
    DUPLICATE_OF,
    FAILURE,
    LOST,
    PRUNED,
    SURPLUS,
    is_lost,
    is_stopped,
    retry_of,
)
from optnas.study.leases import is_abandoned
from optnas.utils.text import ranges

MOST = 25
"""The number of reasons that are listed one by one."""


class Ending(NamedTuple):
    """Trials that ended, or haven't, in one way for one reason.

    Attributes:
        kind: What became of them, in a few words.
        reason: Why.
        times: How many.
        trials: Their numbers as text.
        failed: Whether the architecture, or the code, is at fault.
    """

    kind: str
    reason: str
    times: int
    trials: str
    failed: bool


def endings(trials: Sequence[FrozenTrial], place: str = "") -> list[Ending]:
    """All trials that aren't an ordinary COMPLETE one, the failures first, the frequent first.

    Args:
        trials: The trials of a study.
        place: Of its storage (see `optnas.storage.place`).
    """
    repeated = repeats(trials)
    groups: dict[tuple[int, str, str], list[int]] = {}
    for trial in trials:
        what = ending(trial, repeated, place)
        if what is not None:
            groups.setdefault(what, []).append(trial.number)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]), item[1][0]))
    found = [
        Ending(kind, reason, len(numbers), ranges(numbers), rank == _FAILED)
        for (rank, kind, reason), numbers in ordered[:MOST]
    ]
    rest = sorted(n for _, numbers in ordered[MOST:] for n in numbers)
    if rest:
        reasons = f"{len(ordered) - MOST} further reasons"
        found.append(Ending("other", reasons, len(rest), ranges(rest), failed=False))
    return found


def repeats(trials: Iterable[FrozenTrial]) -> set[int | None]:
    """The numbers of the lost trials that others repeat."""
    return {retry_of(trial) for trial in trials}


_FAILED, _BOUND, _LOST, _SURPLUS, _OPEN, _SAME = range(6)


def ending(
    trial: FrozenTrial, repeated: Collection[Any], place: str = ""
) -> tuple[int, str, str] | None:
    """The kind of the ending, in words, and why; None for an ordinary COMPLETE trial.

    Args:
        trial: Any trial.
        repeated: The numbers of the trials that others repeat.
        place: Of the study's storage.

    Returns:
        A number that orders the kinds, the kind, and the reason.
    """
    attrs = trial.user_attrs
    broken = _names(trial)
    match trial.state:
        case TrialState.FAIL if SURPLUS in attrs:
            return _SURPLUS, "not needed", str(attrs[SURPLUS])
        case TrialState.FAIL if is_lost(trial):
            again = "repeated by a later trial" if trial.number in repeated else "not repeated"
            return _LOST, "lost", f"its process was {attrs[LOST]}; {again}"
        case TrialState.FAIL:
            return _FAILED, "failed", str(attrs.get(FAILURE, "no reason given"))
        case TrialState.PRUNED if broken:
            return _BOUND, "ended before training", f"breaks the bound on {broken}"
        case TrialState.PRUNED if is_stopped(trial):
            return _BOUND, "stopped early", "no way was left to the front"
        case TrialState.PRUNED:
            return _BOUND, "ended early", str(attrs.get(PRUNED, "no reason given"))
        case TrialState.COMPLETE if broken:
            return _BOUND, "trained, but not allowed", f"breaks the bound on {broken}"
        case TrialState.COMPLETE if DUPLICATE_OF in attrs:
            return _SAME, "not trained again", "same network and training as an earlier trial"
        case TrialState.RUNNING if is_abandoned(trial, place):
            return _OPEN, "running", "its process is gone; the next run repeats it"
        case TrialState.RUNNING:
            return _OPEN, "running", "not finished when this page was made"
        case TrialState.WAITING:
            return _OPEN, "waiting", "queued when this page was made"
    return None


def _names(trial: FrozenTrial) -> str:
    return " and ".join(sorted(name for name, excess in trial.constraints.items() if excess > 0))


def failures(found: Iterable[Ending]) -> int:
    """How many trials failed."""
    return sum(ending.times for ending in found if ending.failed)
