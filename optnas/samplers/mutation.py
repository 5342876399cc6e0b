"""The decisions of a trial, which can be mutated and crossed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from optnas.samplers.ask import Ask
from optnas.samplers.trie import Node, tried
from optnas.study.attributes import BASELINE
from optnas.utils.distributions import as_key, contains
from optnas.utils.draws import move

Genes = dict[str, tuple[BaseDistribution, Any]]
"""The distribution and value of each parameter, in the order of drawing."""


def genes_of(trial: FrozenTrial) -> Genes:
    """The decisions of a trial."""
    return {name: (trial.distributions[name], value) for name, value in trial.params.items()}


def values_of(genes: Genes) -> dict[str, Any]:
    """The values alone, as `trial.params` has them."""
    return {name: value for name, (_, value) in genes.items()}


def was_tried(root: Node, genes: Genes) -> bool:
    """Whether these decisions lead to nothing new."""
    return tried(root, {name: as_key(d, value) for name, (d, value) in genes.items()})


def near_baseline(ask: Ask) -> dict[str, Any]:
    """At every other place, the decisions of a baseline with up to three changed; else nothing.

    Only baselines that are architectures of the space have decisions.
    """
    baselines = [
        trial
        for trial in ask.history.trials
        if BASELINE in trial.user_attrs and trial.state == TrialState.COMPLETE
    ]
    if not baselines or ask.place % 2:
        return {}
    return _near(baselines, ask.rng("baseline"))


def near_best(best: Sequence[FrozenTrial], rng: Random) -> dict[str, Any]:
    """Half of the time the decisions of one of the ten best trials with up to three changed.

    Else it is nothing, for a random architecture.

    Args:
        best: Trials, the best one first.
        rng: The generator.
    """
    return {} if rng.random() < 0.5 else _near(best[:10], rng)


def _near(trials: Sequence[FrozenTrial], rng: Random) -> dict[str, Any]:
    return values_of(mutated(genes_of(rng.choice(trials)), rng.randint(1, 3), rng))


def crossed(genes: Genes, other: Genes, rng: Random) -> Genes:
    """Takes each decision from one of two at random, wherever both have it."""
    child = dict(genes)
    for name, gene in other.items():
        if name in child and rng.random() < 0.5:
            child[name] = gene
    return child


def with_fixed(genes: Genes, fixed: Mapping[str, Any]) -> Genes:
    """The decisions with the fixed values in place of their own (see `Ask.fix`)."""
    return {
        name: (d, fixed[name] if name in fixed and contains(d, fixed[name]) else value)
        for name, (d, value) in genes.items()
    }


def mutated(genes: Genes, number: int, rng: Random, fixed: Collection[str] = ()) -> Genes:
    """Changes a number of decisions, drawn at random from those that have a choice (see `move`).

    Args:
        genes: The decisions.
        number: How many of them are changed.
        rng: The generator.
        fixed: The names of those that stay.
    """
    child = dict(genes)
    free = [
        n for n, (distribution, _) in genes.items() if n not in fixed and not distribution.single()
    ]
    for name in rng.sample(free, min(number, len(free))):
        distribution, value = genes[name]
        child[name] = distribution, move(rng, distribution, value)
    return child
