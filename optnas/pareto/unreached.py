"""Whether nothing that was searched reached the study's reference."""

from __future__ import annotations

from optnas.pareto.reference_limits import is_given, limits_text, reference_limits
from optnas.pareto.snapshot import Snapshot
from optnas.study.attributes import BASELINE
from optnas.utils.text import plural


def unreached_text(seen: Snapshot) -> str:
    """Says that no network but the baselines is within the reference.

    Args:
        seen: The study's trials.

    Returns:
        A sentence to which a way to give another reference belongs; empty if a network is within,
        if there is none, or if no limit is given or a baseline's (a constant prediction's stays).
    """
    searched = {t.number for t in seen.feasible if BASELINE not in t.user_attrs}
    limits = reference_limits(seen.study, seen.trials)
    given = any(is_given(seen.study, limits, position) for position in range(len(limits)))
    if not searched or not given or any(t.number in searched for t in seen.within_reference):
        return ""
    networks = plural(len(searched), "network that was", "networks that were")
    return (
        f"none of the {networks} searched is within the reference "
        f"({limits_text(seen.study, seen.trials)}), so none counts for the hypervolume. "
        "With another one"
    )
