"""Which baselines the front dominates, and what networks lack that don't dominate the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.dominance import Array, excess, tamed
from optnas.pareto.snapshot import Snapshot
from optnas.study.attributes import BASELINE
from optnas.utils.text import number

MOST_NUMBERS = 5
"""More dominating trials than this are counted, not listed."""


@dataclass(frozen=True)
class BaselineStanding:
    """A baseline against the front.

    Attributes:
        baseline: The baseline.
        dominated_by: The numbers of the front's searched trials that dominate it; another baseline
            that does so doesn't count.
        nearest: The network that comes nearest to dominating it; None if it is dominated, or if
            there is no other network.
        lacks: The objectives in which the nearest is worse: its value, and the baseline's.
    """

    baseline: ArchitectureRecord
    dominated_by: tuple[int, ...]
    nearest: ArchitectureRecord | None
    lacks: Mapping[str, tuple[float, float]]

    def text(self) -> str:
        """How it stands, as the end of a sentence about the baseline."""
        if self.dominated_by:
            n = len(self.dominated_by)
            shown = ", ".join(map(str, self.dominated_by[:MOST_NUMBERS]))
            more = f" and {n - MOST_NUMBERS} more" if n > MOST_NUMBERS else ""
            return f"dominated by trial{'s' * (n > 1)} {shown}{more}"
        if self.nearest is None:
            return "not dominated: there is no other network yet"
        if not self.lacks:
            return f"not dominated: trial {self.nearest.number} equals it"
        lacks = " and ".join(
            f"{name} {number(own)} (not {number(its)})" for name, (own, its) in self.lacks.items()
        )
        return f"not dominated: the nearest, trial {self.nearest.number}, has {lacks}"


def baseline_standings(study: Snapshot) -> list[BaselineStanding]:
    """How each baseline stands against the front, by its trial's number.

    The nearest network is the one whose largest shortfall is least, each objective as a multiple of
    the baseline's own value.
    """
    others = [r for r in study.each_recipe if r.baseline is None]
    points = np.array([r.losses for r in others]).reshape(len(others), len(study.names))
    members = {trial.number for trial in study.front if BASELINE not in trial.user_attrs}
    return [_standing(study, baseline, members, others, points) for baseline in study.baselines]


def _standing(
    study: Snapshot,
    baseline: ArchitectureRecord,
    members: Collection[int],
    others: list[ArchitectureRecord],
    points: Array,
) -> BaselineStanding:
    dominated_by = tuple(number for number in baseline.dominated_by if number in members)
    if dominated_by or not others:
        return BaselineStanding(baseline, dominated_by, None, {})
    short = excess(points, np.array(baseline.losses))
    best = int(np.lexsort((tamed(short).sum(axis=1), short.max(axis=1)))[0])
    nearest = others[best]
    lacks = {
        name: (nearest.values[i], baseline.values[i])
        for i, name in enumerate(study.names)
        if short[best, i] > 0
    }
    return BaselineStanding(baseline, (), nearest, lacks)
