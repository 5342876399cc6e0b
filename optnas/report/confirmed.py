"""What fresh seeds say of networks of the front (`optnas confirm`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from optuna.study import Study

from optnas.pareto.confirmed import confirmed, standing
from optnas.utils.text import plural


class Again(NamedTuple):
    """A trial that was evaluated again with fresh seeds.

    Attributes:
        verdict: `stands`, `stands within noise`, `falls` or `failed`.
        by: The trial that dominates it, by the means of the fresh seeds.
        seeds: How many fresh evaluations succeeded.
        spreads: For each objective mean and standard deviation over the fresh seeds, as text; empty
            where it depends on no seed, or nothing succeeded.
    """

    verdict: str
    by: int | None
    seeds: int
    spreads: tuple[str, ...]


def again(study: Study) -> dict[int, Again]:
    """The trials that were evaluated again, by number."""
    members = confirmed(study)
    found = {}
    for judged in standing(study):
        member = members[judged.trial]
        spreads = member.spreads or ("",) * len(member.search)
        texts = (str(s) if fresh else "" for s, fresh in zip(spreads, member.again, strict=True))
        found[judged.trial] = Again(judged.verdict, judged.by, member.n, tuple(texts))
    return found


_MANY = {"stands": "stand", "stands within noise": "stand within noise", "falls": "fall"}


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
