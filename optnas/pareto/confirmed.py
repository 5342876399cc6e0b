"""Members of the front that were evaluated again with fresh seeds, as the study keeps them.

A front chooses among noisy values, so its members are the lucky ones: the value that put a network
there is too good on average (the winner's curse). The means of the fresh seeds leave it out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import Array, dominates, losses
from optnas.study.notes import Note, add_note, notes
from optnas.study.objectives import objective_names
from optnas.utils.mean_sd import Spread

CONFIRMED = "confirmed"
"""The kind of note."""
SURE = 0.975
"""Quantile of Student's t beyond which a difference is certain: 95 % on both sides."""

Verdict = Literal["stands", "stands by one seed", "stands within noise", "falls", "failed"]


@dataclass(frozen=True)
class Confirmed:
    """A trial that was evaluated again with fresh seeds.

    Attributes:
        trial: Its number.
        search: The values of its objectives in the search.
        again: Which objectives were measured again. The others are counts, such as params, and
            depend on no seed.
        seeds: The numbers of the fresh seeds whose evaluation succeeded.
        repeats: The values of the objectives with each of them.
        failures: Why other evaluations failed, by the numbers of their seeds.
        like_search: Of `repeats` those that differ from the search in the seed alone: not with
            other settings, nor trained where the search inherited weights.
    """

    trial: int
    search: tuple[float, ...]
    again: tuple[bool, ...]
    seeds: tuple[int, ...]
    repeats: tuple[tuple[float, ...], ...]
    failures: Mapping[int, str]
    like_search: tuple[tuple[float, ...], ...] = ()

    @property
    def n(self) -> int:
        """The number of fresh evaluations that succeeded."""
        return len(self.repeats)

    @property
    def tried(self) -> set[int]:
        """The numbers of all fresh seeds that it was evaluated with."""
        return {*self.seeds, *self.failures}

    @property
    def spreads(self) -> tuple[Spread, ...]:
        """Mean and deviation of each objective over the fresh seeds alone; empty if there are none.

        Counts have no deviation.
        """
        return tuple(
            Spread.of(values) if again else Spread(values[0], 0.0, self.n)
            for again, values in zip(self.again, zip(*self.repeats, strict=True), strict=False)
        )


@dataclass(frozen=True)
class Standing:
    """A trial that was evaluated again, and whether it holds its ground.

    Attributes:
        member: The trial with its fresh evaluations.
        verdict: `stands`, `stands by one seed`, `stands within noise`, `falls`, or `failed` (no
            fresh evaluation succeeded).
        by: The trial that dominates it, where it falls or stands within noise.
    """

    member: Confirmed
    verdict: Verdict
    by: int | None = None

    @property
    def trial(self) -> int:
        """The number of the trial."""
        return self.member.trial


def confirmed(study: Study) -> dict[int, Confirmed]:
    """The COMPLETE trials that were evaluated again, by number.

    Notes that have another form are ignored.
    """
    trials = study.get_trials(deepcopy=False)
    names = objective_names(study)
    found = {}
    for number, written in notes(study, CONFIRMED).items():
        trial = trials[number]
        if trial.state == TrialState.COMPLETE:
            member = _member(trial, names, written)
            if member is not None:
                found[number] = member
    return found


def standing(study: Study) -> list[Standing]:
    """Which confirmed trials hold their ground, by fresh seeds and compared with each other.

    A trial *stands* if no other one dominates it by the means; it *stands by one seed* if it has
    only one fresh evaluation, which another seed may contradict. If another one does, it *falls* if
    that is certain: in every objective the other one is better by a difference whose 95 % interval
    (Welch's, for unequal variances) excludes zero, or exactly equal where nothing varies. Otherwise
    it *stands within noise*: in some objective the other one may be the worse. A single fresh seed
    shows no variance, so only counts are certain by it.

    Returns:
        A standing for each confirmed trial, by number.
    """
    members = confirmed(study)
    known = [member for member in members.values() if member.n]
    means = losses([[s.mean for s in member.spreads] for member in known], study.directions)
    point = dict(zip((member.trial for member in known), means, strict=True))
    result = []
    for number, member in members.items():
        if not member.n:
            result.append(Standing(member, "failed"))
            continue
        own = point[number]
        above = [known[i] for i in np.flatnonzero(dominates(means, own))]
        with np.errstate(over="ignore"):  # a difference beyond all floats is infinite
            sure = [m for m in above if _surely(m, member, own - point[m.trial])]
        if not above:
            result.append(Standing(member, "stands" if member.n > 1 else "stands by one seed"))
        elif sure:
            result.append(Standing(member, "falls", sure[0].trial))
        else:
            result.append(Standing(member, "stands within noise", above[0].trial))
    return result


def keep_repeat(
    study: Study,
    trial: int,
    seed: int,
    values: dict[str, float],
    failure: str = "",
    changes: str = "",
    like_search: bool = False,
) -> None:
    """Writes a fresh evaluation into the study.

    Args:
        study: The study.
        trial: The trial that was evaluated again.
        seed: The number of the fresh seed.
        values: Everything that was measured again, by name; empty if the evaluation failed.
        failure: Why it failed; else empty.
        changes: Differences between the study's settings and those of this evaluation.
        like_search: Whether it differs from the trial's own evaluation in the seed alone.
    """
    note = {"seed": seed, "values": values, "failure": failure, "changes": changes}
    note["like_search"] = like_search
    add_note(study, CONFIRMED, trial, note, lambda old: old.get("seed") == seed)


def _member(trial: FrozenTrial, names: list[str], written: list[Note]) -> Confirmed | None:
    """The trial as its notes describe it; None if none of them can be read."""
    read = [note for note in written if _fits(note)]
    if not read:
        return None
    succeeded = sorted(
        ((note["seed"], note["values"]) for note in read if not note["failure"]),
        key=lambda pair: pair[0],
    )
    measured = {name for _, values in succeeded for name in values}
    assert trial.values is not None
    search = tuple(trial.values)
    repeats = {
        seed: tuple(
            values.get(name, math.nan) if name in measured else value
            for name, value in zip(names, search, strict=True)
        )
        for seed, values in succeeded
    }
    whole = {seed: row for seed, row in repeats.items() if all(map(math.isfinite, row))}
    failures = {note["seed"]: note["failure"] for note in read if note["failure"]}
    again = tuple(name in measured for name in names)
    like = {note["seed"] for note in read if note.get("like_search") is True}
    alike = tuple(row for seed, row in whole.items() if seed in like)
    return Confirmed(
        trial.number, search, again, tuple(whole), tuple(whole.values()), failures, alike
    )


def _fits(note: Note) -> bool:
    values = note.get("values")
    return (
        type(note.get("seed")) is int
        and isinstance(note.get("failure"), str)
        and isinstance(values, dict)
        and all(map(_is_finite, values.values()))
        and bool(values) != bool(note["failure"])
    )


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _surely(one: Confirmed, other: Confirmed, gaps: Array) -> bool:
    """Whether one dominates the other beyond noise: the intersection-union test.

    Args:
        one: A trial with fresh evaluations.
        other: Another one.
        gaps: By how much the mean of one is better, for each objective.
    """
    noises = [_noise(a, b) for a, b in zip(one.spreads, other.spreads, strict=True)]
    return all(gap > noise or gap == noise == 0 for gap, noise in zip(gaps, noises, strict=True))


def _noise(a: Spread, b: Spread) -> float:
    """Half the 95 % interval of a difference of means (Welch 1947)."""
    if a.deviation == b.deviation == 0:
        return 0.0
    from scipy.special import stdtrit  # not above: it takes a fifth of a second

    if a.n < 2 or b.n < 2:
        return math.inf
    # No square of a deviation: that may be too large, or too small, for a float.
    of_a, of_b = a.deviation / math.sqrt(a.n), b.deviation / math.sqrt(b.n)
    both = math.hypot(of_a, of_b)
    share = (of_a / both) ** 2 if both else 0.5
    freedom = 1 / (share**2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1))
    return float(stdtrit(freedom, SURE)) * both
