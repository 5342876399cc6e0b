"""Learns a search space from the trials of a study (part of `predictor`, which has the outline)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from optnas.samplers.mutation import Genes
from optnas.utils.distributions import suggest as suggest_one

Rule = tuple[str, Mapping[str, bool]]
"""The name of the parameter that decides whether another is drawn, and the verdict by its value."""


def learned_space(
    seen: Sequence[Genes], among: Collection[str] | None = None
) -> Callable[[BaseTrial], None]:
    """Returns a function that draws the parameters from a trial as the given architectures did.

    In a define-by-run space, an earlier decision determines whether a parameter is drawn. For each
    parameter that some architectures lack, this takes the earlier one whose value (or absence)
    explains most of them; of equally good ones, the latest.

    Args:
        seen: The architectures.
        among: The parameters to draw, if not all: those that the trial lacks then.
    """
    names = _in_order(seen)
    distributions: dict[str, BaseDistribution] = {}
    for genes in seen:
        distributions |= {name: distribution for name, (distribution, _) in genes.items()}
    values = {n: [repr(g[n][1]) if n in g else "" for g in seen] for n in names}
    rules: dict[str, Rule] = {}
    for at, name in enumerate(names):
        present = [name in genes for genes in seen]
        if not all(present) and at > 0:
            rules[name] = _rule(names[:at], values, present)

    def suggest(trial: BaseTrial) -> None:
        drawn: dict[str, Any] = dict(trial.params)
        for name in names:
            if among is not None and name not in among:
                continue
            if name in rules:
                decider, verdicts = rules[name]
                value = repr(drawn[decider]) if decider in drawn else ""
                if not verdicts.get(value, value != ""):
                    continue
            drawn[name] = suggest_one(trial, name, distributions[name])

    return suggest


def _in_order(seen: Sequence[Genes]) -> list[str]:
    """All parameters, each after those that were drawn before it."""
    before: dict[str, set[str]] = {}
    for genes in seen:
        names = list(genes)
        for name in names:
            before.setdefault(name, set())
        for earlier, later in pairwise(names):
            before[later].add(earlier)
    try:
        return list(TopologicalSorter({n: sorted(b) for n, b in before.items()}).static_order())
    except CycleError:  # trials that were added by hand may have any order
        return list(before)


def _rule(earlier: Sequence[str], values: Mapping[str, list[str]], present: list[bool]) -> Rule:
    best, rule = -1, None
    for name in reversed(earlier):
        votes: dict[str, list[int]] = {}
        for value, there in zip(values[name], present, strict=True):
            votes.setdefault(value, [0, 0])[there] += 1
        right = sum(max(vote) for vote in votes.values())
        if right > best:
            best = right
            rule = name, {value: vote[1] > vote[0] for value, vote in votes.items()}
    assert rule is not None
    return rule
