"""What a study knows of members of its front that were evaluated again, with fresh seeds.

A front chooses among noisy values, so its members are the lucky ones: the value that put a network
there is too good on average (the winner's curse). It says nothing more where fresh seeds have
spoken, and is left out of their means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from scipy.special import stdtrit

from optnas.study.notes import Note, add_note, notes
from optnas.study.objectives import maximized, objective_names
from optnas.utils.mean_sd import Spread

CONFIRMED = "confirmed"
"""The kind of note."""
SURE = 0.975
"""Quantile of Student's t that a difference must pass: 95 % for both sides."""

Verdict = Literal["stands", "stands within noise", "falls", "failed"]


@dataclass(frozen=True)
class Confirmed:
    """A trial that was evaluated again with fresh seeds.

    Attributes:
        trial: Its number.
        search: The values of its objectives in the search.
        again: Which objectives were measured again; the others are counts, such as params, which
            depend on no seed.
        seeds: The numbers of the fresh seeds whose evaluation succeeded.
        repeats: The values of the objectives with each of them.
        failures: Why others failed, by the numbers of their seeds.
    """

    trial: int
    search: tuple[float, ...]
    again: tuple[bool, ...]
    seeds: tuple[int, ...]
    repeats: tuple[tuple[float, ...], ...]
    failures: Mapping[int, str]

    @property
    def n(self) -> int:
        """How many fresh evaluations succeeded."""
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
    """What fresh seeds say of a member of the front.

    Attributes:
        trial: Its number.
        verdict: `stands`, `stands within noise`, `falls`, or `failed` (no fresh evaluation
            succeeded).
        by: The trial that dominates it, where it falls or stands within noise.
    """

    trial: int
    verdict: Verdict
    by: int | None = None


def confirmed(study: Study) -> dict[int, Confirmed]:
    """The COMPLETE trials that were evaluated again, by number.

    What somebody else wrote in their place is left out.
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
    """Which confirmed trials hold their ground, judged by fresh seeds and among themselves.

    A trial *stands* if no other one dominates it by the means: is as good in every objective and
    better in one. If one does, it *falls* if that is certain: in every objective the other one is
    better by a difference whose 95 % interval (Welch's, for unequal variances) leaves out zero, or
    exactly equal where nothing varies. Otherwise it *stands within noise*: in some objective the
    other one may be the worse. A single fresh seed shows no variance, so nothing is certain by it
    but counts.

    Returns:
        A standing for each confirmed trial, by number.
    """
    members = confirmed(study)
    signs = [-1.0 if more_is_better else 1.0 for more_is_better in maximized(study)]
    result = []
    for number, member in members.items():
        if not member.n:
            result.append(Standing(number, "failed"))
            continue
        others = [m for m in members.values() if m.n and m is not member]
        above = [m for m in others if _dominates(m, member, signs)]
        sure = [m for m in above if _surely(m, member, signs)]
        if not above:
            result.append(Standing(number, "stands"))
        elif sure:
            result.append(Standing(number, "falls", sure[0].trial))
        else:
            result.append(Standing(number, "stands within noise", above[0].trial))
    return result


def keep_repeat(
    study: Study,
    trial: int,
    seed: int,
    values: dict[str, float],
    failure: str = "",
    changes: str = "",
) -> None:
    """Writes a fresh evaluation into the study.

    Args:
        study: The study.
        trial: The trial that was evaluated again.
        seed: The number of the fresh seed.
        values: All that was measured anew, by name; empty if it failed.
        failure: Why it failed; else empty.
        changes: Differences between the study's settings and those it was made with.
    """
    note = {"seed": seed, "values": values, "failure": failure, "changes": changes}
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
    return Confirmed(trial.number, search, again, tuple(whole), tuple(whole.values()), failures)


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


def _dominates(one: Confirmed, other: Confirmed, signs: list[float]) -> bool:
    gaps = _gaps(one, other, signs)
    return min(gaps) >= 0 and max(gaps) > 0


def _surely(one: Confirmed, other: Confirmed, signs: list[float]) -> bool:
    """Whether one dominates the other beyond noise: the intersection-union test."""
    noises = [_noise(a, b) for a, b in zip(one.spreads, other.spreads, strict=True)]
    gaps = _gaps(one, other, signs)
    return all(gap > noise or gap == noise == 0 for gap, noise in zip(gaps, noises, strict=True))


def _gaps(one: Confirmed, other: Confirmed, signs: list[float]) -> list[float]:
    """By how much the mean of one is better, for each objective."""
    return [
        sign * (b.mean - a.mean)
        for sign, a, b in zip(signs, one.spreads, other.spreads, strict=True)
    ]


def _noise(a: Spread, b: Spread) -> float:
    """Half the 95 % interval of a difference of means (Welch 1947)."""
    if a.deviation == b.deviation == 0:
        return 0.0
    if a.n < 2 or b.n < 2:
        return math.inf
    of_a, of_b = a.deviation**2 / a.n, b.deviation**2 / b.n
    variance = of_a + of_b
    if variance == 0:  # too small for a float
        return 0.0
    share = of_a / variance
    freedom = 1 / (share**2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1))
    return float(stdtrit(freedom, SURE)) * math.sqrt(variance)
