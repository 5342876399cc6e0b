"""Proposes new architectures: children of the best ones, and random ones.

Part of `predictor`, which has the outline. The space itself completes each proposal from the
inherited decisions, so all are valid.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any

from optnas.samplers.mutation import Genes, crossed, mutated, values_of, was_tried
from optnas.samplers.names import UNSOUND, Suggest, name_of
from optnas.samplers.trie import Node
from optnas.utils.draft import Draft

RANDOM, CROSSED, MUTATIONS = 0.25, 0.3, 3
"""The share of random architectures, the share of children with two parents, and the greatest
number of mutations of a child."""
OLDER, OLDER_PARENTS = 0.25, 20
"""The greatest share of architectures that an older study tried, and the number of them that are
parents, too."""


def complete(suggest: Suggest, params: dict[str, Any], rng: Random) -> tuple[Genes, str]:
    """Completes given values to an architecture of the space; missing values are drawn.

    Returns:
        The decisions, and the architecture's name (see `name_of`). Both are empty if the space
        gives up on the architecture (`optuna.TrialPruned`) or can't make a network of it
        (RuntimeError, ValueError, LookupError, ArithmeticError).
    """
    draft = Draft(params, rng)
    try:
        drawn = suggest(draft)
    except UNSOUND:
        return {}, ""
    genes = {name: (draft.distributions[name], value) for name, value in draft.params.items()}
    return genes, name_of(drawn)


def propose(
    parents: Sequence[Genes],
    suggest: Suggest,
    root: Node,
    names: Collection[str],
    rng: Random,
    number: int,
    older: Sequence[Genes] = (),
    fixed: Mapping[str, Any] | None = None,
) -> list[Genes]:
    """Proposes different architectures that haven't been tried.

    Args:
        parents: The best architectures known.
        suggest: Draws an architecture of the space.
        root: The root of the tree of tried architectures.
        names: The names of tried architectures.
        rng: The generator.
        number: The number of architectures.
        older: An older study's best architectures, the best first: they are proposed as they are,
            and have children.
        fixed: Values that all of them have (see `Ask.fix`).

    Returns:
        At most `number` architectures; fewer if the search for them is mostly unsuccessful. If
        every name was tried, new decisions are proposed: else one name for all architectures would
        leave nothing to choose from.
    """
    found: dict[str, Genes] = {}
    renamed: dict[str, Genes] = {}
    waiting, parents = list(reversed(older)), [*parents, *older[:OLDER_PARENTS]]
    for _ in range(4 * number):
        if len(found) == number:
            break
        if waiting and len(found) < OLDER * number:
            inherited = values_of(waiting.pop())
        else:
            inherited = {} if rng.random() < RANDOM else _child(parents, rng, fixed or {})
        genes, name = complete(suggest, inherited | dict(fixed or {}), rng)
        if not genes or was_tried(root, genes):
            continue
        if name in names:
            renamed.setdefault(str(values_of(genes)), genes)
        else:
            found.setdefault(name or str(values_of(genes)), genes)
    return list(found.values()) or list(renamed.values())[:number]


def _child(parents: Sequence[Genes], rng: Random, fixed: Collection[str]) -> dict[str, Any]:
    """The values of one or two parents, with some of them mutated."""
    genes = rng.choice(parents)
    if rng.random() < CROSSED:
        genes = crossed(genes, rng.choice(parents), rng)
    return values_of(mutated(genes, rng.randint(1, MUTATIONS), rng, fixed))
