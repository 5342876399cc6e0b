"""How long something takes, and how sure one can be of it.

Passes are timed one by one, in blocks of 10 ms. What disturbs a machine (its neighbours, its clock)
lasts longer than a pass: neighbouring passes share it, so the usual interval, which takes them for
independent, is far too narrow; and it doesn't average out, for the spread between medians of whole
seconds is no smaller than that between blocks. The interval stated here is therefore that of one
more block: the spread of the blocks, times `DRIFT` for the moods of the machine that last longer
than the measurement.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from optnas.utils.gc import no_garbage_collection

BLOCK_SECONDS = 0.01
SPREAD_SECONDS = 0.3
"""Blocks are spread over at least this time."""
MIN_BLOCKS = 5
DRIFT = 1.75
"""Spread over minutes and processes, in that of a measurement (`benchmarks/latency.py`)."""
WARM_UP_SECONDS, STEADY = 0.05, 0.02


@dataclass(frozen=True)
class Timing:
    """The outcome, in milliseconds.

    Attributes:
        median: Of all passes.
        p95: 95 of 100 passes took no longer.
        interval: Where the median of another measurement, at another time, lies in 95 % of cases.
        passes: How many were timed.
    """

    median: float
    p95: float
    interval: tuple[float, float]
    passes: int


def time_passes(one_pass: Callable[[], float], target_error: float, max_seconds: float) -> Timing:
    """Warms up until the times are steady, then times passes until the interval is narrow enough.

    Args:
        one_pass: Runs one pass and returns its milliseconds.
        target_error: Half the width of the interval that is enough, as a share of the median.
        max_seconds: For the timed passes; no less than 5 blocks are taken, though, and the warm-up
            takes as long again at most.
    """
    with no_garbage_collection():
        _warm_up(one_pass, max_seconds)
        blocks: list[list[float]] = []
        start = time.perf_counter()
        while True:
            blocks.append(_block(one_pass))
            seconds = time.perf_counter() - start
            if len(blocks) < MIN_BLOCKS:
                continue
            if seconds >= max_seconds:
                break
            if seconds >= SPREAD_SECONDS and len(blocks) % MIN_BLOCKS == 0:
                median, half = _estimate(blocks)
                if half <= target_error * median:
                    break
    median, half = _estimate(blocks)
    times = np.concatenate(blocks)
    return Timing(
        median,
        float(np.percentile(times, 95)),
        (max(median - half, 0.0), median + half),
        len(times),
    )


def _warm_up(one_pass: Callable[[], float], max_seconds: float) -> None:
    """Runs blocks until the last three were no faster than those before."""
    medians: list[float] = []
    start = time.perf_counter()
    while (seconds := time.perf_counter() - start) < max_seconds or not medians:
        medians.append(float(np.median(_block(one_pass))))
        settled = len(medians) > 3 and min(medians[-3:]) >= (1 - STEADY) * min(medians[:-3])
        if settled and seconds >= WARM_UP_SECONDS:
            return


def _block(one_pass: Callable[[], float]) -> list[float]:
    end = time.perf_counter() + BLOCK_SECONDS
    times = [one_pass()]
    while time.perf_counter() < end:
        times.append(one_pass())
    return times


def _estimate(blocks: list[list[float]]) -> tuple[float, float]:
    """The median of all passes, and half the width of its 95 % interval."""
    medians = np.array([np.median(block) for block in blocks])
    n = len(medians)
    low, high = np.quantile(medians, [0.05, 0.95])
    spread = (high - low) / (2 * ndtri(0.95))
    half = DRIFT * stdtrit(n - 1, 0.975) * spread * math.sqrt(1 + 1 / n)
    return float(np.median(np.concatenate(blocks))), float(half)
