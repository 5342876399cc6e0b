"""New architectures to choose from: children of the best ones, and random ones.

Each is what the space makes of the inherited decisions, so it is valid and complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from optuna import TrialPruned
from optuna.trial import BaseTrial

from optnas.samplers.genes import Genes, values_of, was_tried
from optnas.samplers.trie import Node
from optnas.utils.draft import Draft
from optnas.utils.draws import move

Suggest = Callable[[BaseTrial], object]
"""Draws an architecture from a trial, such as `SearchSpace.suggest`."""

RANDOM, CROSSED, MUTATIONS = 0.25, 0.3, 3
"""The shares of random architectures, and of children of two parents; most mutations of a child."""


def complete(suggest: Suggest, params: dict[str, Any], rng: Random) -> Genes:
    """The architecture that a space makes of some values, drawing what is missing.

    Nothing where the space gives up on it (`optuna.TrialPruned`), or can't make a network of it
    (RuntimeError, ValueError): its trial would be lost.
    """
    draft = Draft(params, rng)
    try:
        suggest(draft)
    except (TrialPruned, RuntimeError, ValueError):
        return {}
    return {name: (draft.distributions[name], value) for name, value in draft.params.items()}


def propose(
    parents: Sequence[Genes], suggest: Suggest, root: Node, rng: Random, number: int
) -> list[Genes]:
    """Different architectures that weren't tried; fewer than `number` if there are hardly any.

    Args:
        parents: The best architectures known.
        suggest: Draws an architecture of the space.
        root: Of the tree of what was tried.
        rng: The generator.
        number: How many.
    """
    found: dict[str, Genes] = {}
    for _ in range(4 * number):
        if len(found) == number:
            break
        inherited = {} if rng.random() < RANDOM else _child(parents, rng)
        genes = complete(suggest, inherited, rng)
        if genes and not was_tried(root, genes):
            found.setdefault(str(values_of(genes)), genes)
    return list(found.values())


def _child(parents: Sequence[Genes], rng: Random) -> dict[str, Any]:
    """The values of a parent, or of two, with some changed."""
    genes = dict(rng.choice(parents))
    if rng.random() < CROSSED:
        for name, gene in rng.choice(parents).items():
            if name in genes and rng.random() < 0.5:
                genes[name] = gene
    free = [name for name, (distribution, _) in genes.items() if not distribution.single()]
    for name in rng.sample(free, min(rng.randint(1, MUTATIONS), len(free))):
        distribution, value = genes[name]
        genes[name] = distribution, move(rng, distribution, value)
    return values_of(genes)
