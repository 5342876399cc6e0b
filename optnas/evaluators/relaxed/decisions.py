"""Decisions by the logits of a hypernetwork: sampled, or the likeliest ones."""

from __future__ import annotations

from random import Random
from typing import Any

import torch
from optuna.distributions import BaseDistribution
from torch import Tensor

from optnas.evaluators.relaxed.hypernetwork import Hypernetwork
from optnas.evaluators.relaxed.networks import Decide, RelaxedNetwork
from optnas.utils.distributions import option, option_number, options
from optnas.utils.draft import Draft
from optnas.utils.draws import draw

MOST_OPTIONS = 32
"""Decisions with more values are drawn at random."""


def sampled(hyper: Hypernetwork, features: Tensor, rng: Random) -> Decide:
    """Draws from the softmax of the logits that belong to a preference's features."""

    def decide(name: str, distribution: BaseDistribution) -> Any:
        count = options(distribution)
        if not 2 <= count <= MOST_OPTIONS:
            return draw(rng, distribution)
        with torch.no_grad():
            weights = hyper.logits(name, count, features).softmax(0).tolist()
        return option(distribution, rng.choices(range(count), weights)[0])

    return decide


def likeliest(hyper: Hypernetwork, features: Tensor, rng: Random) -> Decide:
    """Takes the option with the largest logit."""

    def decide(name: str, distribution: BaseDistribution) -> Any:
        count = options(distribution)
        if not 2 <= count <= MOST_OPTIONS:
            return draw(rng, distribution)
        with torch.no_grad():
            logits = hyper.logits(name, count, features)
        return option(distribution, int(logits.argmax()))

    return decide


def log_probability(hyper: Hypernetwork, features: Tensor, network: RelaxedNetwork) -> Tensor:
    """The log probability of the decisions of a network that aren't relaxed."""
    found = torch.zeros((), device=features.device)
    for name, distribution, value in network.decisions:
        count = options(distribution)
        if 2 <= count <= MOST_OPTIONS:
            logits = hyper.logits(name, count, features)
            found = found + logits.log_softmax(0)[option_number(distribution, value)]
    return found


class Deciding(Draft):
    """A trial outside of any study, the rest of whose parameters a function decides."""

    def __init__(self, params: dict[str, Any], decide: Decide) -> None:
        super().__init__(params, Random(0))
        self._decide = decide

    # Every `suggest_*` of FixedTrial calls this.
    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._params:
            self._params[name] = self._decide(name, distribution)
        return super()._suggest(name, distribution)
