"""A study's networks here and on another device: their ranks, and the fronts of both.

The front of the other device is that of the study's objectives with one of them replaced by what
was measured there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection

from optnas.pareto.architectures import ArchitectureRecord, by_architecture
from optnas.pareto.dominance import Array, dominates, losses, nondominated
from optnas.pareto.noise import interval
from optnas.pareto.snapshot import Snapshot
from optnas.study.elsewhere import OtherDevice, There
from optnas.utils.text import plural


class Moved(NamedTuple):
    """A network here and on the other device.

    Attributes:
        record: The network.
        here: The value of the replaced objective.
        there: The value on the other device.
        rank_here: Its rank by `here` among the measured networks, 1 for the best; equal values have
            the same one. 0 for a predicted value.
        rank_there: Likewise by `there`.
        swapped: How many other measured networks are surely on its other side there: here and there
            the two differ by more than their 95 % intervals, in opposite directions.
        front_here: Whether it is on the study's front.
        front_there: Whether no other network dominates it on the other device: of the measured
            ones, and for a predicted value of the predicted ones, too.
        by: The trial that dominates it there; None on the front.
        error: Half the width of the 95 % interval there, as a share; 0 where it isn't known.
    """

    record: ArchitectureRecord
    here: float
    there: float
    rank_here: int
    rank_there: int
    swapped: int
    front_here: bool
    front_there: bool
    by: int | None
    error: float

    @property
    def trial(self) -> int:
        """The number of the trial that represents it."""
        return self.record.number

    @property
    def rank_text(self) -> str:
        """How its rank changed: empty, `2 up`, `1 down`, `1 down, within noise`."""
        steps = self.rank_here - self.rank_there
        if not steps:
            return ""
        noise = "" if self.swapped else ", within noise"
        return f"{abs(steps)} {'up' if steps > 0 else 'down'}{noise}"


class DeviceComparison(NamedTuple):
    """A study's networks here and on another device.

    Attributes:
        device: The other device.
        position: That of the replaced objective.
        names: The objectives there: those of the study with one replaced.
        measured: The measured networks, the best there first.
        predicted: Those whose value there is predicted, likewise.
        failed: Why other networks couldn't be measured, by trial.
        tau: Kendall's rank correlation of both devices; None for fewer than two networks, or where
            all are equal.
    """

    device: OtherDevice
    position: int
    names: list[str]
    measured: list[Moved]
    predicted: list[Moved]
    failed: dict[int, str]
    tau: float | None

    @property
    def changed(self) -> list[Moved]:
        """The measured networks whose rank is another one there, beyond noise."""
        return [one for one in self.measured if one.rank_here != one.rank_there and one.swapped]

    def text(self) -> str:
        """The finding, in two or three sentences."""
        n = len(self.measured)
        if not n:
            return "No network could be measured."
        front = sum(one.front_there for one in self.measured)
        lost = sum(one.front_here and not one.front_there for one in self.measured)
        won = sum(one.front_there and not one.front_here for one in self.measured)
        changed = len(self.changed)
        rank = "" if self.tau is None else f" (Kendall's τ of both orders: {self.tau:.2f})"
        found = (
            f"{changed} of {plural(n, 'measured network')} {'has' if changed == 1 else 'have'} "
            f"another rank there beyond noise{rank}. On the front there: {front}"
        )
        found += f", {won} of them not on the study's" if won else ""
        found += f". On the study's front alone: {lost}" if lost else ""
        told = self.device.predicted
        if told is not None:
            more = sum(one.front_there for one in self.predicted)
            found += (
                f". Of {plural(len(self.predicted), 'further network')} that weren't measured, a "
                f"prediction puts {more} on the front there. It is off by {told.error:.1%} "
                f"(median; τ {told.tau:.2f}) for networks that it hasn't learned from, of "
                f"{told.learned}"
            )
        return f"{found}."


def compare_device(study: Snapshot, device: OtherDevice) -> DeviceComparison | None:
    """A study's networks here and on another device.

    Measurements of networks that the study doesn't have are left out.

    Returns:
        None if the study doesn't have the objective that was replaced.
    """
    if device.replaces not in study.names:
        return None
    at = study.names.index(device.replaces)
    records = by_architecture(study.architectures)
    known = [one for one in device.measured if one.architecture in records]
    measured = [(records[one.architecture], one) for one in known if one.value is not None]
    taken = {record.architecture for record, _ in measured}
    told = device.predicted.networks if device.predicted else ()
    predicted = [
        (records[one.architecture], one)
        for one in told
        if one.architecture in records and one.architecture not in taken and one.value is not None
    ]
    own = _moved(study, at, measured, [])
    return DeviceComparison(
        device=device,
        position=at,
        names=[*study.names[:at], f"{device.metric} on {device.label}", *study.names[at + 1 :]],
        measured=own,
        predicted=_moved(study, at, predicted, measured, ranked=False),
        failed={records[one.architecture].number: one.failure for one in known if one.failure},
        tau=_tau([one.here for one in own], [one.there for one in own]),
    )


Pairs = Sequence[tuple[ArchitectureRecord, There]]
Pairwise = NDArray[np.bool_]


def _moved(
    study: Snapshot, at: int, pairs: Pairs, others: Pairs, *, ranked: bool = True
) -> list[Moved]:
    """The networks of `pairs`, whose front there is that of all of `pairs` and `others`."""
    if not pairs:
        return []
    points = _points(study, at, [*pairs, *others])
    rivals = [record.number for record, _ in (*pairs, *others)]
    on_front = nondominated(points)
    here = losses([[r.values[at]] for r, _ in pairs], [study.directions[at]])[:, 0]
    there = points[: len(pairs), at]
    swapped = _swapped(study, at, pairs) if ranked else np.zeros(len(pairs))
    found = []
    for i, (record, network) in enumerate(pairs):
        above = np.flatnonzero(dominates(points, points[i]))
        assert network.value is not None
        low, high = network.interval or (network.value, network.value)
        found.append(
            Moved(
                record=record,
                here=record.values[at],
                there=network.value,
                rank_here=1 + int((here < here[i]).sum()) if ranked else 0,
                rank_there=1 + int((there < there[i]).sum()) if ranked else 0,
                swapped=int(swapped[i]),
                front_here=record.on_front,
                front_there=bool(on_front[i]) and record.feasible,
                by=rivals[int(above[0])] if len(above) else None,
                error=(high - low) / 2 / abs(network.value) if network.value else 0.0,
            )
        )
    order = np.lexsort((np.array(rivals[: len(pairs)]), there))
    return [found[i] for i in order]


def _points(study: Snapshot, at: int, pairs: Pairs) -> Array:
    """The losses of networks on the other device, of shape `(networks, objectives)`."""
    rows = [
        [*record.values[:at], network.value, *record.values[at + 1 :]] for record, network in pairs
    ]
    return losses(rows, study.directions)  # type: ignore[arg-type]


def _swapped(study: Snapshot, at: int, pairs: Pairs) -> Array:
    """With how many others each network has surely changed its order, of shape `(networks,)`."""
    name, direction = study.names[at], study.directions[at]
    ends_here = [interval(r.trial, name) or (r.values[at], r.values[at]) for r, _ in pairs]
    ends_there = [one.interval or (one.value, one.value) for _, one in pairs]
    here, there = _surely_less(ends_here, direction), _surely_less(ends_there, direction)
    return np.asarray(((here & there.T) | (here.T & there)).sum(axis=1))


def _surely_less(ends: Sequence[tuple[float | None, float | None]], of: StudyDirection) -> Pairwise:
    """For each pair, whether the one's interval lies below the other's."""
    both = losses(ends, [of, of])  # type: ignore[arg-type]
    low, high = both.min(axis=1), both.max(axis=1)
    return np.asarray(high[:, None] < low[None, :])


def _tau(here: Sequence[float], there: Sequence[float]) -> float | None:
    """Kendall's τ; None where it isn't defined."""
    if len(set(here)) < 2 or len(set(there)) < 2:
        return None
    from scipy.stats import kendalltau  # not above: it takes a second

    return float(kendalltau(here, there).statistic)
