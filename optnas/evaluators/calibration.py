"""Statistics of normalisation layers, for weights that were trained in other networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from optnas.evaluators.feed import Batch, Feed
from optnas.evaluators.recipe import Recipe
from optnas.study.recipe_text import DEFAULT_BATCH_SIZE
from optnas.utils.trees import map_leaves, rows_of

EXAMPLES = 128
"""Training examples that the statistics are computed from. 128 are enough: a convolution averages
over positions too, and 64 to 512 examples ranked networks alike on the tasks of
`benchmarks/shared_weights.py`."""


class Calibration:
    """Computes the statistics from training examples, the same ones for every network.

    Source: Yu and Huang, Universally slimmable networks and improved training techniques, ICCV 2019
    (arXiv 1903.05134): the statistics are computed once the weights are trained.

    Args:
        feed: Its first training batches are used, shuffled by torch's generator.

    Attributes:
        batches: The batches, on the device.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.batches: list[Batch] = []
        examples = 0
        for batch in feed.train(EXAMPLES, torch.contiguous_format):
            self.batches.append(batch)
            examples += rows_of(batch) or DEFAULT_BATCH_SIZE
            if examples >= EXAMPLES:
                break

    @torch.no_grad()
    def apply(self, model: nn.Module, recipe: Recipe) -> None:
        """Computes the statistics of a model, and leaves it in evaluation mode.

        Args:
            model: The model, on the device.
            recipe: Its precision is used.
        """
        model.eval()
        norms = [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
            norm.train()
        for batch in self.batches:
            with recipe.autocast(self._feed.device):
                self._feed.run(model, map_leaves(_copied, batch))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()


def _copied(leaf: Any) -> Any:
    """A tensor for a network that may change it in place; the next network needs it, too."""
    return leaf.clone() if isinstance(leaf, Tensor) else leaf
