"""The decisions of a trial, as something that can be changed and combined."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from optnas.samplers.trie import Node, tried
from optnas.utils.distributions import stored

Genes = dict[str, tuple[BaseDistribution, Any]]
"""Distribution and value of each parameter, in the order of drawing."""


def genes_of(trial: FrozenTrial) -> Genes:
    """What a trial drew."""
    return {name: (trial.distributions[name], value) for name, value in trial.params.items()}


def values_of(genes: Genes) -> dict[str, Any]:
    """The values alone, as `trial.params` has them."""
    return {name: value for name, (_, value) in genes.items()}


def was_tried(root: Node, genes: Genes) -> bool:
    """Whether nothing new comes of these decisions."""
    return tried(root, {name: stored(d, value) for name, (d, value) in genes.items()})
