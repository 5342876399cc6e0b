"""The results of fresh seeds for networks of the front (`optnas confirm`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from optnas.pareto.confirmed import Standing
from optnas.utils.text import plural


class Again(NamedTuple):
    """A `Standing` as the page's scripts read it, from JSON.

    Attributes:
        verdict: `stands`, `stands by one seed`, `stands within noise`, `falls` or `failed`.
        by: The trial that dominates it, by the means of the fresh seeds.
        seeds: How many fresh evaluations succeeded.
        spreads: For each objective mean and standard deviation over the fresh seeds, as text; empty
            where it depends on no seed, or no evaluation succeeded.
    """

    verdict: str
    by: int | None
    seeds: int
    spreads: tuple[str, ...]


def again(standings: Mapping[int, Standing]) -> dict[int, Again]:
    """The trials that were evaluated again, by number."""
    found = {}
    for number, standing in standings.items():
        member = standing.member
        spreads = member.spreads or ("",) * len(member.search)
        texts = (str(s) if fresh else "" for s, fresh in zip(spreads, member.again, strict=True))
        found[number] = Again(standing.verdict, standing.by, member.n, tuple(texts))
    return found


_MANY = {
    "stands": "stand",
    "stands by one seed": "stand by one seed",
    "stands within noise": "stand within noise",
    "falls": "fall",
}


def standing_text(found: Collection[Again]) -> str:
    """How many of them stand; empty where none was evaluated again."""
    if not found:
        return ""
    verdicts = Counter(one.verdict for one in found)
    parts = [
        f"{count} {verdict if count == 1 else _MANY.get(verdict, verdict)}"
        for verdict, count in sorted(verdicts.items())
    ]
    return f"{plural(len(found), 'network')} evaluated again: {', '.join(parts)}"
