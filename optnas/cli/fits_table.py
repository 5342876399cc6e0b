"""The table of what fits a target."""

from __future__ import annotations

import math

from rich.markup import escape
from rich.table import Table

from optnas.search.fits import QUANTILES, Fits, SpaceFit
from optnas.utils.text import MACS, number


def fits_table(found: Fits) -> Table:
    """The share of each space that fits, and the macs of what fits."""
    table = Table(
        title=f"of random networks, what fits {escape(str(found.target))}",
        title_justify="left",
        caption=_caption(found),
        caption_justify="left",
    )
    table.add_column("space", overflow="fold")
    for name in ("networks", "fit", "mean macs", *(f"{q:.0%} have at most" for q in QUANTILES)):
        table.add_column(name, justify="right")
    for name in found.target.constraints:
        table.add_column(f"least {escape(name)}", justify="right")
    for space in found.spaces:
        numbers = [space.mean_macs, *map(space.quantile, QUANTILES)]
        least = (number(space.least[name]) for name in found.target.constraints)
        shown = ("" if math.isnan(n) else number(round(n)) for n in numbers)
        networks = number(space.drawn) + _failed(space)
        table.add_row(escape(space.label), networks, f"{space.share:.0%}", *shown, *least)
    return table


def _failed(space: SpaceFit) -> str:
    return f" ({space.failed} don't run)" if space.failed else ""


def _caption(found: Fits) -> str:
    text = f"macs = {MACS}"
    best = found.best
    if best is not None and len(found.spaces) > 1:
        text = f"the largest mean of macs: {escape(best.label)}, which TinyNAS would take. {text}"
    return text
