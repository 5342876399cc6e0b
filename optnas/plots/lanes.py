"""The rows of the timeline: the worker of each trial, its times, and how it ended."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import accumulate
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState

from optnas.study.attributes import DUPLICATE_OF, FAILURE, LOST, PRUNED, is_lost
from optnas.study.leases import lease_of

PAUSE, PAUSE_SHARE, CUT = 60.0, 0.05, 0.015
"""A time without any trial is cut out if it is longer than `PAUSE` seconds and than `PAUSE_SHARE`
of the other time; the cut is as wide as `CUT` of it."""


class Span(NamedTuple):
    """A trial with its times in seconds since the first began, its machine and its worker."""

    trial: FrozenTrial
    start: float
    end: float
    host: str
    worker: str


def spans_of(trials: Sequence[FrozenTrial]) -> list[Span]:
    """The trials that have begun, by their start."""
    begun = [(t, t.datetime_start) for t in trials if t.datetime_start is not None]
    if not begun:
        return []
    first = min(start for _, start in begun)
    last = max(t.datetime_complete or start for t, start in begun)
    spans = []
    for trial, start in begun:
        # A running trial ran at least until its lease was renewed.
        end = trial.datetime_complete or _renewed(trial) or last
        seconds = [(time - first).total_seconds() for time in (start, max(start, end))]
        spans.append(Span(trial, seconds[0], seconds[1], *_worker(trial)))
    return sorted(spans, key=lambda span: (span.start, span.trial.number))


def _renewed(trial: FrozenTrial) -> datetime | None:
    renewed = (lease_of(trial) or {}).get("renewed")
    try:
        return datetime.fromtimestamp(renewed) if renewed is not None else None
    except (TypeError, ValueError, OverflowError, OSError):  # it isn't a time
        return None


def _worker(trial: FrozenTrial) -> tuple[str, str]:
    """The machine, empty if it isn't known, and the worker of a trial."""
    held = lease_of(trial)
    if held is None:
        return "", f"trial {trial.number}"
    host = str(held.get("host", "?"))
    start = held.get("worker", held.get("started", ""))
    return host, f"{host.partition('/')[0]}, process {held.get('pid')}\n{start}"


def lanes_of(spans: Sequence[Span]) -> tuple[list[str], list[int]]:
    """The rows, and the row of each trial.

    A worker takes the first row of its machine whose last worker had ended, so a resumed study has
    no more rows than it had workers at once.
    """
    threads = _threads(spans)
    lives: dict[tuple[str, str, int], tuple[float, float]] = {}
    for span, thread in zip(spans, threads, strict=True):
        start, end = lives.get(thread, (span.start, span.end))
        lives[thread] = (min(start, span.start), max(end, span.end))
    hosts = list(dict.fromkeys(span.host for span in spans))
    names: list[str] = []
    row: dict[tuple[str, str, int], int] = {}
    for host in hosts:
        ends: list[float] = []
        for thread, (start, end) in sorted(lives.items(), key=lambda life: life[1]):
            if thread[0] == host:
                row[thread] = len(names) + _first_free(ends, start, end)
        name = "worker" if len(hosts) == 1 else host.partition("/")[0] or "unknown"
        names += [f"{name} {i + 1}" for i in range(len(ends))]
    return names, [row[thread] for thread in threads]


def _threads(spans: Sequence[Span]) -> list[tuple[str, str, int]]:
    """Machine, worker and thread of each trial: plain Optuna runs several in one process."""
    ends: dict[tuple[str, str], list[float]] = {}
    return [
        (s.host, s.worker, _first_free(ends.setdefault((s.host, s.worker), []), s.start, s.end))
        for s in spans
    ]


def _first_free(ends: list[float], start: float, end: float) -> int:
    """The first row that is free at the start; it is taken until the end.

    `ends` has the times until which the rows are taken.
    """
    free = next((i for i, until in enumerate(ends) if until <= start), len(ends))
    ends[free : free + 1] = [end]
    return free


def without_pauses(
    spans: Sequence[Span],
) -> tuple[Callable[[float], float], list[tuple[float, float]], float]:
    """A clock that stops during long pauses; the pauses; and the clock's last time."""
    gaps: list[tuple[float, float]] = []
    until, idle = 0.0, 0.0
    for span in spans:
        if span.start > until:
            gaps.append((until, span.start))
            idle += span.start - until
        until = max(until, span.end)
    busy = until - idle
    long = [(a, b) for a, b in gaps if b - a > max(PAUSE, PAUSE_SHARE * busy)]
    cut = CUT * busy
    starts = [b for _, b in long]
    saved = list(accumulate((b - a - cut for a, b in long), initial=0.0))

    def clock(time: float) -> float:
        return time - saved[bisect_right(starts, time)]

    return clock, [(clock(a) + cut / 2, b - a) for a, b in long], clock(until)


def kind_of(trial: FrozenTrial) -> str:
    """The way in which a trial ended, in a word."""
    if trial.state == TrialState.FAIL:
        return "lost" if is_lost(trial) else "failed"
    if trial.state == TrialState.COMPLETE and DUPLICATE_OF in trial.user_attrs:
        return "reused"
    return trial.state.name.lower()


def reason_of(trial: FrozenTrial) -> str:
    """Why a trial ended without values, or whose values it has."""
    if kind_of(trial) == "reused":
        return f"has the values of trial {trial.user_attrs[DUPLICATE_OF]}"
    names = {"pruned": PRUNED, "failed": FAILURE, "lost": LOST}
    return str(trial.user_attrs.get(names.get(kind_of(trial), ""), ""))
