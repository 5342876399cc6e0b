"""A small network that makes logits of a preference (part of `relaxed`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optnas.samplers.gradient import key_of

POOL = 2048
"""Random preferences among which those that are spread most are found."""


class Hypernetwork:
    """Logits of each decision as a function of a preference.

    They are a mean of learned logits at some anchors, weighted by how near each anchor is (a
    Gaussian of the distance, normalised). So a step teaches the logits of its preference and of
    those nearby. They are 0 at first.

    Source: the hypernetwork of Sukthanker et al., Multi-objective differentiable neural
    architecture search (arXiv 2402.18213), which embeds preferences in bins; here anchors stand for
    the bins.

    Args:
        anchors: Preferences.
        learning_rate: Adam's; its betas are those of DARTS.
        device: Where it computes.
    """

    def __init__(
        self, anchors: Sequence[Sequence[float]], learning_rate: float, device: torch.device
    ) -> None:
        self._device = device
        self._anchors = torch.tensor(anchors, device=device)
        distances = torch.cdist(self._anchors, self._anchors)
        nearest = distances.fill_diagonal_(math.inf).min(dim=1).values
        self._width = float(nearest.mean()) if len(anchors) > 1 else 1.0
        self._heads: dict[str, Tensor] = {}
        self._learning_rate = learning_rate
        self._optimizer: torch.optim.Adam | None = None

    def features(self, preference: Tensor) -> Tensor:
        """How near each anchor is, of shape `(anchors,)`; the sum is 1."""
        distance = (self._anchors - preference.to(self._device)).square().sum(dim=1)
        return (-4 * distance / self._width**2).softmax(0)

    def logits(self, name: str, count: int, features: Tensor) -> Tensor:
        """The logits of a decision, of shape `(count,)`."""
        key = key_of(name, count)
        if key not in self._heads:
            self._add(key, torch.zeros(len(features), count, device=self._device))
        return features @ self._heads[key]

    def _add(self, key: str, head: Tensor) -> None:
        self._heads[key] = head.requires_grad_()
        if self._optimizer is None:
            rate = self._learning_rate
            self._optimizer = torch.optim.Adam([head], rate, betas=(0.5, 0.999))
        else:
            self._optimizer.add_param_group({"params": [head]})

    def table(self, features: Tensor) -> dict[str, tuple[float, ...]]:
        """The logits of all decisions, by key."""
        with torch.no_grad():
            return {
                key: tuple(round(x, 5) for x in (features @ head).tolist())
                for key, head in self._heads.items()
            }

    def gradient(self, loss: Tensor) -> list[Tensor | None]:
        """The gradient of a loss in the logits' parameters; its graph is kept."""
        if not loss.requires_grad:
            return [None] * len(self._heads)
        heads = list(self._heads.values())
        return list(torch.autograd.grad(loss, heads, retain_graph=True, allow_unused=True))

    def update(self, gradient: Sequence[Tensor | None]) -> None:
        """Takes a step down a gradient."""
        if self._optimizer is None:
            return
        for head, part in zip(self._heads.values(), gradient, strict=True):
            head.grad = part
        self._optimizer.step()

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs."""
        optimizer = {} if self._optimizer is None else self._optimizer.state_dict()
        return {"heads": {k: h.detach() for k, h in self._heads.items()}, "optimizer": optimizer}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from a state."""
        self._heads, self._optimizer = {}, None
        for key, head in state["heads"].items():
            self._add(key, head.to(self._device, copy=True))
        if self._optimizer is not None:
            self._optimizer.load_state_dict(state["optimizer"])


def random_preference(axes: int, rng: Random) -> Tensor:
    """A preference that is drawn uniformly among all."""
    drawn = torch.tensor([rng.expovariate(1.0) + 1e-9 for _ in range(axes)])
    return drawn / drawn.sum()


def spread_preferences(axes: int, number: int) -> list[tuple[float, ...]]:
    """Preferences that are far from each other: the equal one, then always the farthest one.

    They are chosen from random ones, so that hardly any ignores an objective altogether.
    """
    if axes == 1:
        return [(1.0,)]
    pool = np.random.default_rng(0).dirichlet(np.ones(axes), POOL)
    found = [np.full(axes, 1 / axes)]
    distance = np.linalg.norm(pool - found[0], axis=1)
    while len(found) < number:
        found.append(pool[distance.argmax()])
        distance = np.minimum(distance, np.linalg.norm(pool - found[-1], axis=1))
    return [tuple(round(float(x), 5) for x in row) for row in found]
