"""Whether a front is mostly one of networks that learned little, and what to look for instead."""

from __future__ import annotations

from dataclasses import dataclass

from optnas.pareto.snapshot import Snapshot
from optnas.study.reference import stored_reference

HALF = 0.5


@dataclass(frozen=True)
class LittleGained:
    """The members of a front that gain less than half of what the best one gains over chance.

    Attributes:
        members: Their number.
        front: The number of all members.
        score: The name of the score.
        limit: The value of the score that is half-way between chance and the best.
    """

    members: int
    front: int
    score: str
    limit: float


def little_gained(seen: Snapshot) -> LittleGained | None:
    """Counts the members of the front that gain little, in the first score whose chance is known.

    Args:
        seen: The study's trials.

    Returns:
        None if they are at most half of the front, if chance isn't known, or if the study was given
        a reference.
    """
    kept = stored_reference(seen.study)
    if kept is None or kept.given or len(seen.names) < 2:
        return None
    score = next((name for name in seen.names if name in kept.chance), None)
    if score is None or not seen.front:
        return None
    position, chance = seen.names.index(score), kept.chance[score]
    values = [trial.values[position] for trial in seen.front]
    best = max(values) if seen.maximized[position] else min(values)
    limit = chance + HALF * (best - chance)
    gained = [(value - limit) * (1 if seen.maximized[position] else -1) for value in values]
    members = sum(gain < 0 for gain in gained)
    if 2 * members <= len(values):
        return None
    return LittleGained(members, len(values), score, limit)
