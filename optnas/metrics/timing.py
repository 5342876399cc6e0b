"""The median time of a pass, with a 95 % interval.

Passes are timed one by one, in blocks of 10 ms. Disturbances of a machine, such as other processes
and changes of its clock, last longer than a pass. This has two consequences. Neighbouring passes
share a disturbance, so the usual interval, which assumes independent passes, is far too narrow. And
disturbances don't average out: medians of whole seconds spread as much as medians of blocks.

The interval here is therefore a prediction interval for one more block: the spread of the blocks,
times `DRIFT` for disturbances that last longer than the measurement.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optnas.utils.gc import no_garbage_collection

BLOCK_SECONDS = 0.01
SPREAD_SECONDS = 0.3
"""The blocks cover at least this many seconds."""
MIN_BLOCKS = 5
DRIFT = 1.75
"""Spread over minutes and processes, divided by the spread within one measurement; measured by
`benchmarks/latency.py`."""
WARM_UP_SECONDS, STEADY = 0.05, 0.02
"""Least seconds of warm-up, and the share by which times may still fall when it ends."""


@dataclass(frozen=True)
class Timing:
    """The times of one measurement, in milliseconds.

    Attributes:
        median: Median of all passes.
        p95: The 95th percentile of all passes.
        interval: The range in which the median of another measurement, at another time, lies in
            95 % of cases.
        passes: Number of timed passes.
    """

    median: float
    p95: float
    interval: tuple[float, float]
    passes: int


def time_passes(one_pass: Callable[[], float], target_error: float, max_seconds: float) -> Timing:
    """Warms up until the times are steady, then times passes until the interval is narrow enough.

    Args:
        one_pass: Runs one pass and returns its milliseconds.
        target_error: Half the width of a sufficiently narrow interval, as a share of the median.
        max_seconds: Most seconds for the timed passes (but at least 5 blocks are taken), and again
            for the warm-up.
    """
    with no_garbage_collection():
        warm_up(one_pass, max_seconds)
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


def warm_up(one_pass: Callable[[], float], max_seconds: float) -> None:
    """Runs blocks until the last three are no faster than the earlier ones, or the time is over."""
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
    from scipy.special import ndtri, stdtrit  # not above: it takes a fifth of a second

    medians = np.array([np.median(block) for block in blocks])
    n = len(medians)
    low, high = np.quantile(medians, [0.05, 0.95])
    spread = (high - low) / (2 * ndtri(0.95))
    half = DRIFT * stdtrit(n - 1, 0.975) * spread * math.sqrt(1 + 1 / n)
    return float(np.median(np.concatenate(blocks))), float(half)
