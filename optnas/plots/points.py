"""The architectures of a study, as several figures show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optuna.study import Study

from optnas.errors import InputError
from optnas.pareto.entries import entries
from optnas.plots.style import DETAILED, hover
from optnas.study.objectives import objective_names
from optnas.utils.text import ranges


class Point(NamedTuple):
    """One architecture: its trials, its values, and where it stands.

    Attributes:
        number: The trial that stands for it.
        trials: All its COMPLETE trials.
        architecture: What it is called.
        values: Of all objectives.
        feasible: Whether it breaks no bound.
        on_front: Whether it is on the front of all objectives.
        baseline: The name of the hand-made network, if it is one.
    """

    number: int
    trials: tuple[int, ...]
    architecture: str
    values: tuple[float, ...]
    feasible: bool
    on_front: bool
    baseline: str | None

    @property
    def head(self) -> str:
        """Which trial it is, and which ones trained it too."""
        others = [n for n in self.trials if n != self.number]
        also = f" (also {ranges(others, 6)})" if others else ""
        name = "" if self.baseline is None else f"baseline {self.baseline}, "
        return f"{name}trial {self.number}{also}"


def points_of(study: Study) -> list[Point]:
    """The architectures of the COMPLETE trials, one point each.

    Raises:
        InputError: There is no COMPLETE trial.
    """
    found = [
        Point(
            number=entry.trial.number,
            trials=entry.trials,
            architecture=entry.architecture,
            values=tuple(entry.trial.values),
            feasible=entry.feasible,
            on_front=entry.on_front,
            baseline=None if entry.baseline is None else str(entry.baseline),
        )
        for entry in entries(study)
    ]
    if not found:
        raise InputError(f"study {study.study_name!r} has no COMPLETE trial yet: run it first")
    return found


def several_objectives(study: Study) -> list[str]:
    """The names of the objectives.

    Raises:
        InputError: There is only one.
    """
    names = objective_names(study)
    if len(names) < 2:
        raise InputError(
            f"study {study.study_name!r} has a single objective ({names[0]}): this figure shows "
            "how several trade off"
        )
    return names


def hovering(points: Sequence[Point], names: Sequence[str], copies: int = 1) -> dict[str, object]:
    """What hovering over markers shows: all of it, or of many points their number.

    Args:
        points: In the order of the markers.
        names: Of the objectives.
        copies: How many traces show them.
    """
    if copies * len(points) > DETAILED:
        return {"hovertemplate": "trial %{customdata}<br>%{x}, %{y}<extra></extra>"}
    texts = [hover(p.head, p.architecture, zip(names, p.values, strict=False)) for p in points]
    return {"hovertext": texts, "hoverinfo": "text"}
