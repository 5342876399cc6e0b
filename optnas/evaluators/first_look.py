"""Looks at a model's output once, before any training: a fault is found now, not an epoch later."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from optnas.datasets.class_numbers import check_in_range
from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.logits import logits_of
from optnas.datasets.losses import accuracy
from optnas.datasets.summed import Summed
from optnas.errors import InputError, fault_of_candidate
from optnas.evaluators.check_inputs import check_finite, inputs_checked
from optnas.evaluators.example_batch import check_one_example, warn_of_several
from optnas.evaluators.feed import ArrayFeed, Feed
from optnas.evaluators.outputs import in_float32
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.scoring import OfLoss, Score
from optnas.evaluators.step import MeanLoss, counted
from optnas.evaluators.training_loss import Loss
from optnas.utils.inputs import Inputs, described, form_of, in_order, map_inputs
from optnas.utils.random_state import preserved
from optnas.utils.trees import holds_tensors

log = logging.getLogger("optnas")
_CALLS = {torch.float32: "float()", torch.float64: "double()", torch.int64: "long()"}
"""The methods that give a tensor these types."""


@torch.no_grad()
def first_look(
    model: nn.Module,
    feed: Feed,
    recipe: Recipe,
    loss: Loss,
    scores: Mapping[str, Score],
    example: Inputs,
    usual: Dataset | Loaders | None,
    trained: Sequence[Loss] = (),
    *,
    warns: bool = True,
) -> None:
    """Runs an untrained model on the first held-out batch, and checks what comes of it.

    The random generators and the model's mode are afterwards as they were.

    Args:
        model: The model, on the feed's device.
        feed: Its first held-out batch is used.
        recipe: Its precision is used.
        loss: `loss(outputs, targets)`.
        scores: Further functions of them, by name. Only the usual ones are computed: others may
            need more than one batch.
        example: The example inputs of the search space.
        usual: The data, if the loss is the usual one of its task: then two more things are looked
            at, which are only warned of.
        trained: The losses that recipes train with in its place.
        warns: Whether to warn, and to look for one example: in a retraining, the search has.

    Raises:
        InputError: The loaders, the loss or the accuracy don't fit the model's output, the data
            hold tokens, or lengths, that the model can't take, or the example inputs are several.
    """
    training = model.training
    if warns and feed.step is not None:
        warn_of_several(model, map_inputs(lambda t: t.to(feed.device), example))
    with preserved():
        batch = next(iter(feed.held_out(torch.contiguous_format)), None)
        if batch is None:
            raise InputError("the validation part has no batch: give its loader some examples")
        try:
            own = feed.step is not None
            inputs, parts = (None, []) if own else (batch[0], [x for x, _ in feed.whole_parts])
            with recipe.autocast(feed.device), inputs_checked(model, inputs, parts):
                outputs, y = feed.run(model.eval(), batch)
        except InputError:
            raise
        except (RuntimeError, TypeError, IndexError, ValueError) as error:
            if feed.step is not None or fault_of_candidate(error):
                raise
            given, taken = form_of(batch[0]), form_of(example)
            if given == taken:
                raise
            raise InputError(
                f"the model can't take a batch of the data ({given}), whose form differs from the "
                f"search space's example inputs ({taken}): {str(error).splitlines()[0]}"
                + _conversion(batch[0], example)
            ) from error
        finally:
            model.train(training)
        if isinstance(outputs, MeanLoss):
            counted(outputs, batch)
            of_outputs = {n: s for n, s in scores.items() if not isinstance(s, OfLoss)}
            _check_alone(of_outputs, own_loss=usual is None, chosen=bool(trained))
            return
        if feed.step is None:
            _check_inputs(batch[0], example, isinstance(feed, ArrayFeed))
            if warns:
                with recipe.autocast(feed.device):
                    check_one_example(model, example, batch, outputs, feed.run)
            with recipe.autocast(feed.device):
                check_finite(model, feed.whole_parts or [batch], usual_loss=usual is not None)
        outputs = in_float32(outputs)
        if feed.step is not None:
            _check_forms(outputs, y)
        if usual is not None and usual.task != "regression":
            _check_range(_by_class(outputs, usual), y, usual)
        for function in (loss, *trained):
            _check_loss(function(outputs, y))
        for score in scores.values():
            if score is accuracy or isinstance(score, Summed):
                score(outputs, y)
    if warns and usual is not None and usual.task != "regression":
        _warn_of_classes(_by_class(outputs, usual), usual)


def _conversion(given: Inputs, taken: Inputs) -> str:
    """Says how the tensors of a batch get the types of the example inputs, if they have others."""
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        pairs = [(name, given[name], taken[name]) for name in given if name in taken]
    else:
        both = list(zip(in_order(given), in_order(taken), strict=False))
        names = ["x"] if len(both) == 1 else [f"x[{i}]" for i in range(len(both))]
        pairs = [(name, *pair) for name, pair in zip(names, both, strict=True)]
    calls = [
        f"{name}.{_CALLS.get(other.dtype, f'to({other.dtype})')}"
        for name, one, other in pairs
        if one.dtype != other.dtype
    ]
    return f"; let the data be {', '.join(calls)}" if calls else ""


def _check_inputs(given: Inputs, taken: Inputs, of_one_shape: bool) -> None:
    """Checks that costs and exports, which are for example inputs, are of what is trained on.

    A model may take more or other inputs than those, as an LSTM that needs no lengths does.

    Args:
        given: Those of a batch.
        taken: The example inputs of the search space.
        of_one_shape: Whether all batches have these shapes. Loaders may pad each to its longest.
    """
    if isinstance(given, Tensor) and isinstance(taken, Tensor):
        return  # the objective compares single tensors before the first trial
    alike = len(in_order(given)) == len(in_order(taken))
    others: Inputs = taken
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        alike = given.keys() == taken.keys()
        others = {name: taken[name] for name in given} if alike else taken
    if alike and of_one_shape:
        pairs = zip(in_order(given), in_order(others), strict=True)
        alike = all(one.shape[1:] == other.shape[1:] for one, other in pairs)
    if not alike:
        raise InputError(
            f"a batch of the data has other inputs ({form_of(given)}) than the search space's "
            f"example inputs ({form_of(taken)}), for which costs are measured and networks are "
            "exported: give the space what the data has, or leave the rest out of the data (for "
            "lengths of sequences: SequenceSpace(…, lengths=True))"
        )


def _check_alone(scores: Mapping[str, Any], *, own_loss: bool, chosen: bool) -> None:
    """Checks that nothing needs the outputs of a step that returns the loss alone."""
    if own_loss:
        needs, way = "the loss given as loss= takes", "leave loss= out"
    elif chosen:
        needs, way = "the recipe's loss takes", "leave loss out of the recipe"
    elif scores:
        needs = f"{', '.join(scores)} need{'s' if len(scores) == 1 else ''}"
        usual = any(one is accuracy or isinstance(one, Summed) for one in scores.values())
        way = "leave them out (accuracy=False)" if usual else "leave scores= out"
    else:
        return
    raise InputError(
        f"step returns a loss alone, and {needs} outputs and targets: {way}, or let step return "
        "(outputs, targets), with loss=lambda outputs, targets: outputs.loss where the model "
        "computes it"
    )


def _check_forms(outputs: Any, targets: Any) -> None:
    """Checks that what a step returns can be joined over batches, which this one can't show."""
    for what, given in (("outputs", outputs), ("targets", targets)):
        if not holds_tensors(given) and given is not None:
            raise InputError(
                f"step returns {described(given)} as {what}, which can't be joined over the "
                "batches: return tensors, or containers of tensors; or the loss alone"
            )
        if isinstance(given, list):
            raise InputError(
                f"step returns a list of {len(given)} as {what}: return tensors with all examples "
                "of the batch in their first dimension, in a tuple if there are several, so that "
                "they can be joined over the batches; or return the loss alone"
            )


def _by_class(outputs: Any, data: Dataset | Loaders) -> Tensor:
    """Logits with classes, or tokens, in the second dimension."""
    found = logits_of(outputs)
    return found.movedim(-1, 1) if data.task == "language" and found.ndim > 1 else found


def _check_range(outputs: Tensor, targets: Any, data: Dataset | Loaders) -> None:
    """Checks what the loss doesn't (on a GPU it would end the process)."""
    classes = data.outputs if isinstance(data, Dataset) else 2
    if not isinstance(targets, Tensor) or targets.is_floating_point():
        return
    if outputs.ndim < 2 or outputs.shape[1] < classes:
        return
    check_in_range(targets.cpu(), outputs.shape[1])


def _check_loss(value: object) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        given = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise InputError(
            f"loss(outputs, targets) must return a tensor of one element, got {given}: take the "
            "mean over the batch"
        )


def _warn_of_classes(outputs: Tensor, data: Dataset | Loaders) -> None:
    count = outputs.shape[1]
    if isinstance(data, Dataset) and count > data.outputs:
        log.warning(
            "the model has %d outputs for the %d classes of %s: the others are never right",
            count,
            data.outputs,
            data.name,
        )
    sums = outputs.sum(1)
    if bool((outputs >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        log.warning(
            "the model's outputs are probabilities, and cross-entropy takes logits: leave the "
            "softmax at its end out, or it trains slowly"
        )
