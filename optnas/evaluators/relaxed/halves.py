"""The two halves of a training part: for the weights, and for the logits (part of `relaxed`)."""

from __future__ import annotations

import torch

from optnas.datasets.dataset import Dataset
from optnas.errors import InputError
from optnas.evaluators.feed import ArrayFeed, Feed
from optnas.evaluators.training import TrainingEvaluator
from optnas.utils.inputs import map_inputs


def halved(evaluator: TrainingEvaluator) -> Dataset:
    """The data of an evaluator whose training part can be halved.

    Raises:
        InputError: It can't.
    """
    data = evaluator.data
    if not isinstance(data, Dataset):
        raise InputError(
            "a relaxed network halves the training part, which it can't do with DataLoaders: "
            "give the TrainingEvaluator arrays (optnas.arrays), or take another sampler"
        )
    if len(data.train[1]) < 4:
        raise InputError(
            f"a relaxed network halves the training part, which has {len(data.train[1])} "
            "examples: give at least 4"
        )
    return data


def halves(evaluator: TrainingEvaluator, seed: int) -> tuple[Feed, Feed]:
    """Feeds of two random halves of the training part; each holds the other one out."""
    x, y = halved(evaluator).train
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    one, other = order.tensor_split(2)
    first = map_inputs(lambda t: t[one], x), y[one]
    second = map_inputs(lambda t: t[other], x), y[other]
    whole = evaluator.feed()
    return (
        ArrayFeed(first, second, whole.device, whole.step),
        ArrayFeed(second, first, whole.device, whole.step),
    )
