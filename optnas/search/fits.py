"""How much of a search space fits a target, and how large those networks are.

Source: Lin et al., MCUNet: tiny deep learning on IoT devices, NeurIPS 2020 (arXiv 2007.10319).
Its TinyNAS takes, of several spaces that differ in resolution and width, the one whose networks
that fit have the most multiply-accumulates: more computation in the same memory, it argues, gives
more accurate networks. The networks are random ones, and nothing is trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import numpy as np

from optnas.errors import InputError, with_place
from optnas.metrics import Int8Flash, Int8PeakActivation, Macs
from optnas.objective.bounds import Bounds
from optnas.objective.objective import Objective
from optnas.objective.preview import Previews
from optnas.objective.target import Target, as_target
from optnas.search.random_networks import UNSOUND, random_params
from optnas.search.settings import Settings
from optnas.search_spaces import ParameterSpace, SearchSpace
from optnas.utils.checks import check_counts
from optnas.utils.text import number

FIRST_LOOK = 50
"""The number of random networks of which one must fit, before a run, for it to begin silently."""
QUANTILES = (0.1, 0.5, 0.9)

Spaces = SearchSpace[Any] | Settings


@dataclass(frozen=True)
class SpaceFit:
    """How much of one space fits.

    Attributes:
        label: The name of the space.
        drawn: The number of random networks.
        failed: The number of those that have no network that can be built and run.
        macs: The multiply-accumulates of those that fit, ascending.
        least: The least of each bounded metric among all.
    """

    label: str
    drawn: int
    failed: int
    macs: tuple[float, ...]
    least: Mapping[str, float]

    @property
    def share(self) -> float:
        """The share of the random networks that fits."""
        return len(self.macs) / self.drawn

    @property
    def mean_macs(self) -> float:
        """The mean of the multiply-accumulates of what fits; NaN if nothing does."""
        return float(np.mean(self.macs)) if self.macs else math.nan

    def quantile(self, share: float) -> float:
        """The multiply-accumulates that a share of what fits has at most; NaN if nothing fits."""
        return float(np.quantile(self.macs, share)) if self.macs else math.nan


class Fits(NamedTuple):
    """How much of one or more spaces fits a target.

    Attributes:
        target: The target.
        spaces: One record a space.
    """

    target: Target
    spaces: tuple[SpaceFit, ...]

    @property
    def best(self) -> SpaceFit | None:
        """The space whose networks that fit have the largest mean of multiply-accumulates.

        TinyNAS takes this one. None if nothing fits.
        """
        some = [space for space in self.spaces if space.macs]
        return max(some, key=lambda space: space.mean_macs, default=None)

    def __str__(self) -> str:
        lines = [f"fits {self.target}"]
        for space in self.spaces:
            text = f"{space.label}: {space.share:.0%} of {space.drawn} random networks fit"
            if space.macs:
                spread = ", ".join(f"{number(round(space.quantile(q)))}" for q in QUANTILES)
                text += f"; macs: mean {number(round(space.mean_macs))}, quantiles {spread}"
            lines.append(text)
        return "\n".join(lines)


def fits(
    spaces: Spaces | Mapping[str, Spaces],
    target: Target | str | None = None,
    *,
    n: int = 200,
    seed: int = 0,
) -> Fits:
    """How much of a search space fits a target, and the distribution of macs among what fits.

    Networks are drawn at random and counted; nothing is trained. With several spaces, such as one
    for each resolution, `best` is the one that TinyNAS would search (Lin et al., MCUNet: tiny deep
    learning on IoT devices, 2020, arXiv 2007.10319). `optnas.plots.fits_figure` draws the result.

    Example:
        ```python
        import optnas

        spaces = {
            f"{size} px": optnas.MobileSpace.small((3, size, size), 10) for size in (16, 32)
        }
        found = optnas.fits(spaces, optnas.Target(ram_kb=16, flash_kb=256), n=10)
        print(found)  # of each space: what share fits, and the macs of what fits
        print(found.best)  # the record of one space; None if nothing fits
        ```

    Args:
        spaces: A space or a `Search`, or several by their names.
        target: An `optnas.Target` or the name of a board; by default that of the searches.
        n: The number of random networks of each space.
        seed: Seeds the draws.

    Returns:
        The share that fits, and the multiply-accumulates of what fits, of each space.

    Raises:
        InputError: There is no target, searches have different ones, or a space has no network that
            can be built and run.
        TypeError: Something is no space.
        ValueError: `n` isn't at least 1.
    """
    check_counts(n=n)
    given = dict(spaces) if isinstance(spaces, Mapping) else {"the space": spaces}
    if not given:
        raise InputError("spaces is empty: give at least one space")
    chosen = as_target(target) or _target_of(given)
    found = []
    for label, one in given.items():
        if isinstance(one, Settings):
            one.import_own()
        space = one.space if isinstance(one, Settings) else one
        if not isinstance(space, SearchSpace):
            raise TypeError(f"{label} must be a SearchSpace or a Search, got {space!r}")
        if isinstance(space, ParameterSpace):
            raise InputError(f"{label} is a ParameterSpace, which has no networks to count")
        found.append(_fit(str(label), space, chosen, n, seed))
    return Fits(chosen, tuple(found))


def _target_of(given: Mapping[str, Spaces]) -> Target:
    targets = {as_target(one.target) for one in given.values() if isinstance(one, Settings)}
    chosen = targets.pop() if len(targets) == 1 else None
    if chosen is None:
        what = "the searches have different targets" if targets else "there is no target"
        raise InputError(f"{what}: give one, such as `target='stm32f746'`")
    return chosen


def _fit(label: str, space: SearchSpace[Any], target: Target, n: int, seed: int) -> SpaceFit:
    limits = target.constraints
    bounds = Bounds(limits, dict.fromkeys(limits, "minimize"))
    metrics = (Int8PeakActivation(target.order), Int8Flash(), Macs())
    previews = Previews(space, metrics, ("macs",), bounds)
    macs: list[float] = []
    failed, reason, rng = 0, "", Random(seed)
    least = dict.fromkeys(limits, math.inf)
    for _ in range(n):
        try:
            params = random_params(space, rng)
            excess = previews.constraints(params)
            if all(value <= 0 for value in excess.values()):
                macs += previews.values(params).values()
        except UNSOUND as error:
            failed, reason = failed + 1, with_place(error)
            continue
        for name, value in excess.items():
            least[name] = min(least[name], limits[name] + value)
    if failed == n:
        raise InputError(f"none of {n} random networks of {label} can be measured: {reason}")
    return SpaceFit(label, n, failed, tuple(sorted(macs)), least)


def first_look(search: Settings, objective: Objective) -> str:
    """Says before a run that nothing seems to fit the search's target; empty if something does.

    It ends with the first random network that holds all bounds on counts, so it is short where much
    fits. What it has counted, the sampler needn't count again.

    Args:
        search: A search with a target.
        objective: Its objective.
    """
    rng, least = Random(0), dict[str, float]()
    for _ in range(FIRST_LOOK):
        try:
            excess = objective.preview(random_params(search.space, rng)).constraints
        except UNSOUND:
            continue
        if all(value <= 0 for value in excess.values()):
            return ""
        for name, value in excess.items():
            least[name] = min(least.get(name, math.inf), search.bounds[name] + value)
    over = [
        f"the least {name} is {number(value)}, its bound {number(search.bounds[name])}"
        for name, value in least.items()
        if value > search.bounds[name]
    ]
    return (
        f"none of {FIRST_LOOK} random networks fits {search.target} "
        f"({'; '.join(over) or 'each bound is held by some, but all by none'}). The run looks on "
        "and ends if it finds none; a space of a lower resolution or of narrower layers may have "
        "more (`optnas fits`)"
    )
