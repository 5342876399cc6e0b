"""What fresh seeds say of the front's members, in the Pareto figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from optuna.study import Study

from optnas.pareto.confirmed import confirmed, standing
from optnas.plots.style import GREY, INK, label
from optnas.utils.text import plural


class Again(NamedTuple):
    """A trial that was evaluated again with fresh seeds.

    Attributes:
        number: The trial.
        seeds: How many fresh evaluations succeeded.
        search: The values of all objectives in the search.
        means: Their means over the fresh seeds.
        deviations: Their standard deviations; 0 of what depends on no seed, and of a single seed.
        texts: Mean and deviation of each, as people read them.
        verdict: Whether it holds its ground.
    """

    number: int
    seeds: int
    search: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    texts: tuple[str, ...]
    verdict: str


def again_of(study: Study) -> list[Again]:
    """The trials of a study that were evaluated again, with success."""
    verdicts = {s.trial: s.verdict for s in standing(study)}
    return [
        Again(
            number=number,
            seeds=member.n,
            search=member.search,
            means=tuple(s.mean for s in member.spreads),
            deviations=tuple(
                0.0 if math.isnan(s.deviation) else s.deviation for s in member.spreads
            ),
            texts=tuple(map(str, member.spreads)),
            verdict=verdicts[number],
        )
        for number, member in confirmed(study).items()
        if member.n
    ]


def again_traces(again: Sequence[Again], names: Sequence[str], x: int, y: int) -> list[Any]:
    """Means with bars of one standard deviation, each tied to the value that the search found."""
    if not again:
        return []
    ties = {
        "type": "scatter",
        "mode": "lines",
        "x": [at for a in again for at in (a.search[x], a.means[x], None)],
        "y": [at for a in again for at in (a.search[y], a.means[y], None)],
        "line": {"color": GREY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    means = {
        "type": "scatter",
        "mode": "markers",
        "name": "with fresh seeds (mean ± 1 sd)",
        "x": [a.means[x] for a in again],
        "y": [a.means[y] for a in again],
        "error_x": _bars(a.deviations[x] for a in again),
        "error_y": _bars(a.deviations[y] for a in again),
        "marker": {"symbol": "square-open", "size": 8, "color": INK},
        "customdata": [a.number for a in again],
        "hovertext": [_hover(a, names) for a in again],
        "hoverinfo": "text",
    }
    return [ties, means]


def _bars(lengths: Iterable[float]) -> dict[str, Any]:
    return {
        "type": "data",
        "array": list(lengths),
        "color": INK,
        "thickness": 1.2,
        "width": 3,
    }


def _hover(a: Again, names: Sequence[str]) -> str:
    seeds = plural(a.seeds, "fresh seed")
    values = [f"{label(name)}: {text}" for name, text in zip(names, a.texts, strict=True)]
    return "<br>".join([f"<b>trial {a.number}</b>, {seeds}: {a.verdict}", *values])
