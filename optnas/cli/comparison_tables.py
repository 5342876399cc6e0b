"""The tables that compare studies."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from optnas.pareto.compare import BOX, Comparison
from optnas.pareto.hypervolume import volume_text
from optnas.utils.text import number


def comparison_tables(found: Comparison) -> list[Table]:
    """The fronts under the common objectives, and the share of each that another dominates."""
    front = Table(
        title=f"compared by {escape(', '.join(found.names))}",
        title_justify="left",
        caption=f"undominated: members that no other study's front dominates\nhypervolume: {BOX}",
        caption_justify="left",
    )
    front.add_column("study", overflow="fold")
    about = "" if found.exact else " (approximate)"
    for name in ("trials", "front", "undominated", f"hypervolume{about}"):
        front.add_column(name, justify="right")
    for name in found.names:
        front.add_column(f"best {escape(name)}", justify="right")
    for own in found.studies:
        standing = sum(member.stands for member in own.front)
        leaders = (min(own.front, key=lambda m: m.losses[i]) for i in range(len(found.names)))
        best = [number(leader.values[i]) for i, leader in enumerate(leaders)]
        counts = (str(own.trials), str(len(own.front)), str(standing))
        front.add_row(escape(own.label), *counts, volume_text(own.hypervolume), *best)
    whom = Table(title="share of a front that is dominated", title_justify="left")
    whom.add_column("by \\ front of", overflow="fold")
    for own in found.studies:
        whom.add_column(escape(own.label), justify="right")
    for own in found.studies:
        shares = [own.dominates.get(other.label) for other in found.studies]
        whom.add_row(escape(own.label), *("" if s is None else f"{s:.0%}" for s in shares))
    return [front, whom]
