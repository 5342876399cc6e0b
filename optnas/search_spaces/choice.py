"""A choice between operations: one of them in a trial, a mixture of all in a relaxed network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from typing import Any, cast

import torch
from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.errors import InputError
from optnas.search_spaces.mixture import Mixture
from optnas.utils.draft import Draft
from optnas.utils.trees import map_leaves

Operations = Mapping[str, Callable[[], nn.Module]]
"""Functions that make an operation each, by label."""
SKIPS = ("skip", "skip_connect", "identity")
"""Labels of operations that hand on their input, if need be at another size."""


def choose(trial: BaseTrial, name: str, operations: Operations) -> nn.Module:
    """Draws one of several operations, and makes it.

    In a trial this is `operations[trial.suggest_categorical(name, list(operations))]()`. In the
    relaxed network of a `GradientSampler`, it makes all of them and returns a module that computes
    their sum, weighted by what the sampler has learned for this name. So all must give tensors of
    one shape. A number of layers becomes such a choice if each layer may be skipped:
    `{"conv": make, "skip": torch.nn.Identity}`. Calls with one name (in several cells, say) are one
    decision.

    Example:
        ```python
        import torch
        from torch import nn

        import optnas


        def build(trial):
            layers = [nn.Linear(4, 16)]
            for i in range(1, 4):
                layers.append(
                    optnas.choose(
                        trial,
                        f"layer{i}.operation",
                        {
                            "relu": lambda: nn.Sequential(nn.ReLU(), nn.Linear(16, 16)),
                            "tanh": lambda: nn.Sequential(nn.Tanh(), nn.Linear(16, 16)),
                            "skip": nn.Identity,
                        },
                    )
                )
            return nn.Sequential(*layers, nn.ReLU(), nn.Linear(16, 3))


        space = optnas.FunctionSpace(build, torch.zeros(1, 4))
        ```

    Args:
        trial: The trial.
        name: The parameter's.
        operations: Functions without arguments that make a `torch.nn.Module` each, by label. A
            label is the value of the parameter; `skip`, `skip_connect` and `identity` are those
            that are counted as skips.

    Raises:
        InputError: There are no operations, a label is no string, or what should make an operation
            can't be called or makes none. In the relaxed network: two give different shapes.
    """
    check_operations(name, operations)
    if isinstance(trial, RelaxedTrial):
        return trial.mixed(name, operations)
    label = trial.suggest_categorical(name, list(operations))
    return _made(name, label, operations[label])


def check_operations(name: str, operations: Operations) -> None:
    """Raises InputError unless there are functions by label."""
    if not isinstance(operations, Mapping) or not operations:
        raise InputError(
            f"the operations of {name!r} must be a dictionary from labels to functions that make "
            f"them, with at least one entry, got {operations!r}"
        )
    for label, make in operations.items():
        if not isinstance(label, str):
            raise InputError(f"a label of {name!r} must be a string, got {label!r}")
        if isinstance(make, nn.Module) or not callable(make):
            raise InputError(
                f"the operation {label!r} of {name!r} must be a function that makes a module, so "
                f"that each network has its own, got {type(make).__name__}: give "
                f"{{{label!r}: lambda: …}}"
            )


def _made(name: str, label: str, make: Callable[[], nn.Module]) -> nn.Module:
    made = make()
    if not isinstance(made, nn.Module):
        raise InputError(
            f"the operation {label!r} of {name!r} must make a torch.nn.Module, got "
            f"{type(made).__name__}"
        )
    return made


@dataclass(frozen=True)
class Reach:
    """Some options of another choice: what is mixed is run only with these.

    Attributes:
        name: The other choice.
        count: The number of its options.
        options: Which of them.
    """

    name: str
    count: int
    options: Sequence[int]


class MixedOperation(nn.Module):
    """All operations of a choice; their sum, weighted by the mixture.

    Args:
        mixture: Has the weights.
        name: The choice.
        operations: Functions that make the operations, by label.
        reach: The options of another choice with which this is run; the sum is multiplied by their
            weight. None for always.

    Attributes:
        name: As given.
        labels: The labels, in the order of the parameter's values.
    """

    def __init__(
        self, mixture: Mixture, name: str, operations: Operations, reach: Reach | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self.labels = tuple(operations)
        self._mixture = mixture
        self._reach = reach
        self._changes_input: dict[tuple[int, bool], bool] = {}
        made = [_made(name, label, make) for label, make in operations.items()]
        self.operations = nn.ModuleDict(dict(zip(_keys(self.labels), made, strict=True)))

    @property
    def branches(self) -> list[nn.Module]:
        """The operations, in order."""
        return list(self.operations.values())

    def probabilities(self) -> Tensor:
        """The probability that a discretised network, drawn at random, has each operation here."""
        found = self._mixture.probabilities(self.name, len(self.labels))
        if self._reach is None:
            return found
        other = self._mixture.probabilities(self._reach.name, self._reach.count)
        return found * other[list(self._reach.options)].sum()

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The weighted sum of what the operations make of the arguments."""
        weights, values = self._mixture.weights(self.name, len(self.labels))
        total: Tensor | None = None
        run = [i for i, value in enumerate(values) if value != 0 or weights.requires_grad]
        for i in run:
            # What isn't sampled is run for the gradient of its weight alone.
            with nullcontext() if values[i] != 0 else torch.no_grad():
                found = self._run(i, args, kwargs, alone=len(run) == 1)
            self._check(i, found, total)
            part = weights[i].to(found.device) * found
            total = part if total is None else total + part
        assert total is not None
        if self._reach is not None:
            reached, _ = self._mixture.weights(self._reach.name, self._reach.count)
            total = total * reached[list(self._reach.options)].sum().to(total.device)
        return total

    def _run(self, i: int, args: Any, kwargs: Any, *, alone: bool) -> Any:
        """Runs an operation; one that changes its input (`ReLU(inplace=True)`) gets a copy of it.

        Else the others would get the changed one.
        """
        operation, key = self.branches[i], (i, self.training)
        if alone or self._changes_input.get(key) is False:
            return operation(*args, **kwargs)
        copies: list[Tensor] = []

        def copied(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            copies.append(leaf.clone())
            return copies[-1]

        own_args, own_kwargs = map_leaves(copied, (args, kwargs))
        before = [_changes(copy) for copy in copies]
        found = operation(*own_args, **own_kwargs)
        if None not in before and key not in self._changes_input:
            self._changes_input[key] = before != [_changes(copy) for copy in copies]
        return found

    def _check(self, i: int, found: object, others: Tensor | None) -> None:
        if not isinstance(found, Tensor):
            raise InputError(
                f"the operation {self.labels[i]!r} of {self.name!r} returns a "
                f"{type(found).__name__}; those of a relaxed network return one tensor each"
            )
        if others is not None and found.shape != others.shape:
            raise InputError(
                f"the operations of {self.name!r} can't be added: {self.labels[i]!r} returns the "
                f"shape {tuple(found.shape)}, and those before it return {tuple(others.shape)}. "
                "Give them the same shape (a padding, or a 1×1 convolution in the one that "
                "differs), or draw the label by trial.suggest_categorical, so that it isn't relaxed"
            )


def _changes(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place; None if that isn't counted."""
    return None if tensor.is_inference() else tensor._version


def _keys(labels: Sequence[str]) -> list[str]:
    """A name of a module for each label: such names have no dots, and differ."""
    found: list[str] = []
    for label in labels:
        key = "op_" + "".join(c if c.isalnum() else "_" for c in label)
        while key in found:
            key += "_"
        found.append(key)
    return found


class RelaxedTrial(Draft):
    """A trial outside of any study, of which `choose` makes a mixture of all operations.

    Args:
        params: Given values, by parameter name.
        rng: Draws the other values of what isn't relaxed.
        mixture: Weighs the operations.

    Attributes:
        mixture: As given.
        relaxed: The labels of each choice that was relaxed, by name.
    """

    def __init__(self, params: dict[str, Any], rng: Random, mixture: Mixture) -> None:
        super().__init__(params, rng)
        self.mixture = mixture
        self.relaxed: dict[str, tuple[str, ...]] = {}

    def mixed(self, name: str, operations: Operations, reach: Reach | None = None) -> nn.Module:
        """All operations of a choice, as one module.

        Raises:
            InputError: The name stood for other operations before.
        """
        labels = tuple(operations)
        known = self.relaxed.setdefault(name, labels)
        if known != labels:
            raise InputError(
                f"the operations of {name!r} are {', '.join(known)} in one place and "
                f"{', '.join(labels)} in another: give the two choices different names"
            )
        return MixedOperation(self.mixture, name, operations, reach)


def mixtures(model: nn.Module) -> list[tuple[str, MixedOperation]]:
    """The relaxed choices of a network, with the names of their modules."""
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, MixedOperation)]
    return cast(list[tuple[str, MixedOperation]], found)


def is_skip(label: str, operation: nn.Module) -> bool:
    """Whether an operation hands on its input."""
    return label in SKIPS or isinstance(operation, nn.Identity)
