"""The tables of networks here and on another device."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from optnas.pareto.elsewhere import DeviceComparison, Moved
from optnas.pareto.noise import SHOWN, with_error
from optnas.utils.text import number


def elsewhere_tables(found: DeviceComparison) -> list[Table]:
    """The measured networks by their rank there, and those that are predicted to be on its front.

    Other objectives are the study's.
    """
    device = found.device
    tables = []
    if found.measured:
        table = _table(found, f"measured on {escape(device.label)}")
        for name in ("rank here", "rank there"):
            table.add_column(name, justify="right")
        table.add_column("changed rank")
        _fill(table, found, found.measured)
        tables.append(table)
    promising = [one for one in found.predicted if one.front_there]
    if promising and device.predicted is not None:
        told = device.predicted
        table = _table(found, f"predicted for {escape(device.label)}, not measured")
        table.caption = escape(
            f"only those that no other one dominates there; off by {told.error:.1%} (median), τ "
            f"{told.tau:.2f}, for networks that the model hasn't learned from (leave-one-out of "
            f"{told.learned}; {told.model})"
        )
        table.caption_justify = "left"
        _fill(table, found, promising)
        tables.append(table)
    return tables


def _table(found: DeviceComparison, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column(escape(f"{found.device.replaces} here"), justify="right")
    table.add_column(escape(f"{found.device.metric} there"), justify="right")
    return table


def _fill(table: Table, found: DeviceComparison, networks: Sequence[Moved]) -> None:
    table.add_column("front here")
    table.add_column("front there")
    table.add_column("architecture", overflow="fold")
    for one in networks:
        ranks = [str(one.rank_here), str(one.rank_there), one.rank_text] if one.rank_here else []
        error = f" ±{one.error:.0%}" if one.error >= SHOWN else ""
        about = "" if one.rank_here else "≈ "
        table.add_row(
            str(one.trial),
            with_error(one.record.trial, found.device.replaces, one.here, number(one.here)),
            f"{about}{number(one.there)}{error}",
            *ranks,
            "yes" if one.front_here else "–",
            "yes" if one.front_there else f"dominated by {one.by}" if one.by is not None else "–",
            escape(one.record.architecture),
        )
