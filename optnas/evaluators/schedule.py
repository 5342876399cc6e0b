"""The learning rate over the steps of a training."""

from __future__ import annotations

import math

SCHEDULES = ("cosine", "one_cycle", "constant")
RISE = 0.3
"""Share of the steps in which one cycle rises by default: PyTorch's `pct_start`."""
START, END = 1 / 25, 1 / 25 / 1e4
"""The learning rate at the beginning and the end of one cycle, as shares of the highest one:
PyTorch's `div_factor` and `final_div_factor`."""


def share_of_rate(schedule: str, warmup: float | None, step: int, steps: int) -> float:
    """The learning rate of a step, as a share of the highest one.

    Args:
        schedule: One of `SCHEDULES`.
        warmup: Share of the steps in which it rises; None takes the schedule's own.
        step: Counted from 0.
        steps: Their number.
    """
    if schedule == "one_cycle":
        return _one_cycle(RISE if warmup is None else warmup, step, steps)
    rising = round((warmup or 0.0) * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    if schedule == "constant":
        return 1.0
    return _half_cosine((step - rising) / (steps - rising))


def _one_cycle(rise: float, step: int, steps: int) -> float:
    top, last = max(rise * steps - 1, 0.0), steps - 1
    if step < top:
        return 1 + (START - 1) * _half_cosine(step / top)
    return END + (1 - END) * _half_cosine((step - top) / (last - top) if last > top else 0.0)


def _half_cosine(share: float) -> float:
    """Falls from 1 to 0."""
    return (1 + math.cos(math.pi * share)) / 2
