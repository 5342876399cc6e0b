"""The architectures of a study, as several figures show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optnas.errors import InputError
from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.snapshot import Snapshot
from optnas.plots.style import DETAILED
from optnas.plots.texts import hover
from optnas.utils.text import plural, ranges


def points_of(study: Snapshot) -> list[ArchitectureRecord]:
    """The points of a figure: the architectures, and each further trial of one on the front.

    Raises:
        InputError: There is no COMPLETE trial.
    """
    if not study.architectures:
        raise InputError(
            f"study {study.study.study_name!r} has no COMPLETE trial yet: run it first"
        )
    return study.shown


def architectures(points: Iterable[ArchitectureRecord]) -> int:
    """How many architectures some points stand for."""
    return len({point.trials for point in points})


def and_points(points: Sequence[ArchitectureRecord]) -> str:
    """How many points they are, as a sentence's end; empty if each is an architecture."""
    return "" if len(points) == architectures(points) else f", with {plural(len(points), 'trial')}"


def several_objectives(study: Snapshot) -> list[str]:
    """The names of the objectives.

    Raises:
        InputError: There is only one.
    """
    names = study.names
    if len(names) < 2:
        raise InputError(
            f"study {study.study.study_name!r} has a single objective ({names[0]}): this figure "
            "shows how several trade off"
        )
    return names


def head_of(point: ArchitectureRecord) -> str:
    """The heading of an architecture's hover text: its trial, and its other trials."""
    also = f" (also {ranges(point.others, 6)})" if point.others else ""
    name = "" if point.baseline is None else f"baseline {point.baseline}, "
    return f"{name}trial {point.number}{also}"


def hovering(
    points: Sequence[ArchitectureRecord], names: Sequence[str], copies: int = 1
) -> dict[str, object]:
    """The hover texts of markers: everything about a point, or of many points their numbers.

    Args:
        points: In the order of the markers.
        names: Of the objectives.
        copies: The number of traces that show them.
    """
    if copies * len(points) > DETAILED:
        return {"hovertemplate": "trial %{customdata}<br>%{x}, %{y}<extra></extra>"}
    texts = [hover(head_of(p), p.architecture, zip(names, p.values, strict=False)) for p in points]
    return {"hovertext": texts, "hoverinfo": "text"}


def markers(
    points: Sequence[ArchitectureRecord], x: int, y: int, names: Sequence[str], copies: int = 1
) -> dict[str, object]:
    """A trace of markers in the plane of two objectives.

    Args:
        points: The architectures.
        x: The position of the objective on the horizontal axis.
        y: And of the one on the vertical axis.
        names: Of the objectives.
        copies: The number of traces that show these points.
    """
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [p.values[x] for p in points],
        "y": [p.values[y] for p in points],
        "customdata": [p.number for p in points],
        **hovering(points, names, copies),
    }
