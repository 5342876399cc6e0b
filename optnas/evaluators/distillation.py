"""Soft targets: the outputs of a trained network, which others learn from in their training.

Source: Hinton et al., Distilling the knowledge in a neural network, 2015 (arXiv 1503.02531). The
default temperature and weight are those with which Tian et al., Contrastive representation
distillation, ICLR 2020 (arXiv 1910.10699), measure this method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from optnas.candidate import copy_of
from optnas.datasets.class_numbers import is_counted
from optnas.errors import InputError
from optnas.evaluators.augmentation import Mixed
from optnas.evaluators.feed import Feed
from optnas.evaluators.heads import Heads
from optnas.evaluators.layout import laid_out
from optnas.evaluators.recipe import Recipe
from optnas.utils.checks import check_numbers
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.inputs import Inputs, call, copied, described, map_inputs, shapes_of
from optnas.utils.random_state import preserved

TEMPERATURE = 4.0


class Distillation:
    """Networks learn the outputs of a trained network, the teacher, in addition to the targets.

    The loss of a training step is `(1 - weight) · L + weight · S`, where L is the loss of the
    targets. For classes, S = T² · KL(softmax(t / T), softmax(o / T)), with the temperature T, the
    teacher's logits t and the network's logits o: the mean over the examples (or pixels, or
    tokens) whose targets are counted. For regression, S is the mean squared difference of both
    outputs.

    The teacher gets the inputs that the network gets, with their augmentation, in evaluation mode
    and without gradients. Scores are those of the targets alone. No network contains the teacher.

    Example:
        ```python
        import torch
        import optnas

        data = optnas.digits()
        teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))  # trained, say
        evaluator = optnas.TrainingEvaluator(
            data, epochs=5, distillation=optnas.Distillation(teacher, temperature=4.0, weight=0.9)
        )
        ```

    Args:
        teacher: The trained network; the setting has a copy of it.
        temperature: For classes: what logits are divided by, above 0; None takes 4. The higher it
            is, the more the wrong classes count.
        weight: The share of the teacher in the loss, above 0, at most 1.

    Attributes:
        teacher: The copy, on the CPU and in evaluation mode.
        temperature: As given.
        weight: As given.
        fingerprint: The teacher's class, a hash of its code and weights, and both numbers.

    Raises:
        TypeError: The teacher is no `torch.nn.Module`.
        ValueError: A number is out of range.
    """

    def __init__(
        self, teacher: nn.Module, temperature: float | None = None, weight: float = 0.9
    ) -> None:
        check_numbers(temperature=temperature, weight=weight)
        if temperature is not None and not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        if not 0 < weight <= 1:
            raise ValueError(f"weight must be above 0 and at most 1, got {weight}")
        self.teacher = copy_of(teacher).cpu().requires_grad_(False)
        self.temperature = temperature
        self.weight = weight
        heat = "" if temperature is None else f"temperature={temperature:g}, "
        name = f"{callable_name(type(teacher))} {code_hash(self.teacher)}"
        self.fingerprint = f"{name}, {heat}weight={weight:g}"

    def __repr__(self) -> str:
        return f"Distillation({self.fingerprint})"


def teaching(
    given: object, task: str, loss: object, *, own_step: bool
) -> Callable[[Feed, str], Teacher] | None:
    """What makes the teacher for a training, from its feed and precision; None without one.

    Args:
        given: A `Distillation`, or None.
        task: That of the data.
        loss: That of the evaluator.
        own_step: Whether the user's own step runs the networks.

    Raises:
        TypeError: `given` is something else.
        InputError: It can't be used here.
    """
    if given is None:
        return None
    if not isinstance(given, Distillation):
        raise TypeError(
            f"distillation must be a Distillation, got {described(given)}: write "
            "distillation=optnas.Distillation(network)"
        )
    if own_step:
        raise InputError(
            "distillation runs the teacher on the inputs of a batch, and your step takes batches "
            "of its own form: leave distillation out, and let step run the teacher too, and return "
            "its outputs among the targets while model.training"
        )
    if isinstance(loss, Heads):
        raise InputError(
            "distillation takes one tensor of outputs, and this evaluator has the loss of several "
            "heads: leave distillation out, and let a step= run the teacher, and a loss= of your "
            "own take its outputs"
        )
    if task == "regression" and given.temperature is not None:
        raise InputError(
            f"temperature={given.temperature:g} is for classes, and the task is regression, where "
            "networks learn the teacher's outputs as they are: leave it out"
        )
    return partial(Teacher, given, task)


class Teacher:
    """The teacher on the device of a training.

    Args:
        distillation: The network and its settings.
        task: That of the data.
        feed: Provides the batches.
        precision: That of the training.
    """

    def __init__(self, distillation: Distillation, task: str, feed: Feed, precision: str) -> None:
        self._temperature = distillation.temperature or TEMPERATURE
        self._weight = distillation.weight
        self._task = task
        model = copy_of(distillation.teacher).to(feed.device)
        self._layout = feed.layout(model, precision)
        self._model = model.to(memory_format=self._layout)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, inputs: Inputs) -> Tensor:
        """The teacher's outputs, in float32."""
        own = copied(map_inputs(lambda t: laid_out(t, self._layout), inputs))
        found = call(self._model, own)
        return _tensor(found, "the teacher")

    def loss(self, hard: Tensor, outputs: Any, soft: Tensor, targets: Any) -> Tensor:
        """The loss of a training step.

        Args:
            hard: The loss of the targets.
            outputs: What the network returns.
            soft: The teacher's outputs.
            targets: The targets, which may be `Mixed`.
        """
        own = _tensor(outputs, "the network")
        return (1 - self._weight) * hard + self._weight * self._soft_loss(own, soft, targets)

    def _soft_loss(self, outputs: Tensor, soft: Tensor, targets: Any) -> Tensor:
        if self._task == "regression":
            return functional.mse_loss(outputs, soft)
        dim, heat = self._classes, self._temperature
        own, known = (functional.log_softmax(part / heat, dim) for part in (outputs, soft))
        each = functional.kl_div(own, known, reduction="none", log_target=True).sum(dim)
        counted = _counted(targets, each)
        return heat**2 * (each * counted).sum() / counted.sum().clamp(min=1)

    @property
    def _classes(self) -> int:
        """The dimension of the classes."""
        return -1 if self._task == "language" else 1

    def look(self, model: nn.Module, feed: Feed, recipe: Recipe) -> None:
        """Runs the teacher and a network on one batch, and compares their outputs.

        Raises:
            InputError: The teacher can't be run, or its outputs are no targets for the network.
        """
        training = model.training
        with preserved(), torch.no_grad(), recipe.autocast(feed.device):
            inputs, _ = next(iter(feed.held_out(torch.contiguous_format)))
            own = _tensor(call(model.eval(), inputs), "the network")
            model.train(training)
            try:
                soft = self(inputs)
            except (RuntimeError, TypeError, IndexError) as error:
                raise InputError(
                    f"the teacher can't take a batch of the data ({shapes_of(inputs)}): "
                    f"{str(error).splitlines()[0]}; give Distillation a network for these inputs"
                ) from error
        if soft.shape != own.shape:
            raise InputError(
                f"the teacher's outputs have the shape {tuple(soft.shape)}, and those of a network "
                f"{tuple(own.shape)}: give Distillation a network with the same outputs"
            )
        if not bool(soft.isfinite().all()):
            raise InputError("the teacher's outputs are NaN or infinite: train it anew")
        if self._task != "regression" and (soft.ndim < 2 or soft.shape[self._classes] < 2):
            raise InputError(
                f"distillation takes a logit for each class, and the outputs have the shape "
                f"{tuple(soft.shape)}: give networks and teacher an output for each of two classes "
                "or more"
            )


def _tensor(outputs: object, whose: str) -> Tensor:
    """The outputs, or the `logits` among them, in float32."""
    found = outputs.get("logits") if isinstance(outputs, Mapping) else outputs
    if not isinstance(found, Tensor):
        raise InputError(
            f"distillation takes a tensor, or one called logits in a dictionary, and {whose} "
            f"returns {described(outputs)}: return that, or leave distillation out"
        )
    return found.float()


def _counted(targets: Any, each: Tensor) -> Tensor:
    """Where a target is counted, as 1 and 0, in the shape of the losses."""
    if isinstance(targets, Mixed):
        return _counted(targets.first, each) * _counted(targets.second, each)
    if isinstance(targets, Tensor) and targets.shape == each.shape:
        return is_counted(targets).to(each)
    return torch.ones_like(each)
