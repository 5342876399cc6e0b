"""Multi-layer perceptrons."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.datasets.dataset import Dataset
from optnas.errors import InputError
from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import ACTIVATIONS, SearchSpace, random_example
from optnas.search_spaces.checks import (
    check_activations,
    check_dropout,
    check_range,
    check_shape,
    check_step,
)
from optnas.search_spaces.data_size import deepest_for, widest_for
from optnas.search_spaces.encoding import encode
from optnas.utils.checks import check_counts

LARGEST_STEP = 32
"""The step between two widths, where it fits the range."""


@dataclass(frozen=True)
class MLPArchitecture:
    """A perceptron: the widths of its hidden layers, their activation and dropout probability."""

    widths: tuple[int, ...]
    activation: str
    dropout: float

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        return f"mlp {widths} {self.activation} dropout={self.dropout:g}"


@dataclass(frozen=True)
class MLPSpace(SearchSpace[MLPArchitecture], Encodable[MLPArchitecture]):
    """Multi-layer perceptrons of different depths and widths.

    Example:
        ```python
        import optnas

        space = optnas.MLPSpace((4,), 3, depth=(1, 3), width=(16, 64), width_step=16)
        small = optnas.MLPSpace.for_data(optnas.diabetes())  # as large as 265 examples deserve
        ```

    The default ranges suit some 50,000 examples; `for_data` makes a space whose ranges follow from
    their number.

    Parameters: `depth`; for each hidden layer `layer1.width`, …; `activation`; `dropout`.

    Attributes:
        input_shape: The shape of one example without the batch dimension; it is flattened.
        outputs: The number of classes, or of regression targets.
        depth: The least and greatest number of hidden layers.
        width: The least and greatest width of a hidden layer.
        width_step: The step between two widths. 0 stands for 32, or the largest lower power of two
            that leads from the least to the greatest width.
        activations: Names among `relu`, `relu6`, `leaky_relu`, `tanh`, `gelu`, `silu` and
            `hard_swish`; all layers share one.
        dropout: The least and greatest dropout probability.
        dropout_step: The step between two dropout probabilities.

    Raises:
        ValueError: A range is empty or negative, or an activation is unknown.
    """

    input_shape: tuple[int, ...]
    outputs: int
    depth: tuple[int, int] = (1, 5)
    width: tuple[int, int] = (32, 512)
    width_step: int = 0
    activations: tuple[str, ...] = ("relu", "leaky_relu", "tanh", "gelu")
    dropout: tuple[float, float] = (0.0, 0.6)
    dropout_step: float = 0.1

    def __post_init__(self) -> None:
        check_shape("input_shape", self.input_shape)
        check_counts(outputs=self.outputs)
        check_range("depth", self.depth, 1)
        check_range("width", self.width, 1)
        if self.width_step == 0:  # the record says which step it is, as if it were given
            low, high = self.width
            object.__setattr__(self, "width_step", math.gcd(LARGEST_STEP, high - low))
        check_counts(width_step=self.width_step)
        check_step("width", self.width, self.width_step)
        check_dropout(self.dropout, self.dropout_step)
        check_activations(self.activations)

    @classmethod
    def for_data(cls, data: Dataset, **settings: Any) -> MLPSpace:
        """A space for some data, with ranges that follow the number of its training examples.

        The greatest width is the power of two next to 2·√n, from 16 to 512 (see
        `optnas.search_spaces.data_size` for the source); there are eight widths, from an eighth of
        it. The greatest depth is 2 below 1,000 examples, 4 below 10,000, else 6. So 265 examples of
        10 numbers have networks of 49 to 1,441 weights.

        Args:
            data: Each example is one tensor.
            settings: Any attribute of the class, in place of what follows from the data.

        Raises:
            InputError: The data is no Dataset, its examples are several tensors, or its task is
                neither classification nor regression.
        """
        if not isinstance(data, Dataset):
            raise InputError(
                "MLPSpace.for_data takes the data that optnas.arrays(x, y) makes, got a "
                f"{type(data).__name__}: give MLPSpace itself input_shape and outputs"
            )
        if data.task not in ("classification", "regression"):
            raise InputError(
                f"a perceptron has one output for an example, and {data.name} is for {data.task}"
            )
        rows = len(data.train[1])
        widest = widest_for(rows)
        found: dict[str, Any] = {
            "depth": (1, deepest_for(rows)),
            "width": (widest // 8, widest),
        }
        if "width" not in settings:
            found["width_step"] = widest // 8
        return cls(data.input_shape, data.outputs, **(found | settings))

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, *input_shape)`."""
        return random_example(*self.input_shape)

    def suggest(self, trial: BaseTrial) -> MLPArchitecture:
        """Draws the depth, each width, the activation and the dropout."""
        depth = trial.suggest_int("depth", *self.depth)
        widths = tuple(
            trial.suggest_int(f"layer{i}.width", *self.width, step=self.width_step)
            for i in range(1, depth + 1)
        )
        activation = trial.suggest_categorical("activation", self.activations)
        dropout = trial.suggest_float("dropout", *self.dropout, step=self.dropout_step)
        return MLPArchitecture(widths, activation, round(dropout, 6))

    def params_of(self, architecture: MLPArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, _settings)

    def build(self, architecture: MLPArchitecture) -> nn.Module:
        """Makes linear layers, each with activation and dropout, and a linear head.

        They are named `layer1`, …, `head`.
        """
        layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
        size = math.prod(self.input_shape)
        for i, width in enumerate(architecture.widths, 1):
            layer = [nn.Linear(size, width), ACTIVATIONS[architecture.activation]()]
            if architecture.dropout > 0:
                layer.append(nn.Dropout(architecture.dropout))
            layers[f"layer{i}"] = nn.Sequential(*layer)
            size = width
        layers["head"] = nn.Linear(size, self.outputs)
        return nn.Sequential(OrderedDict(layers))


def _settings(architecture: MLPArchitecture) -> dict[str, Any]:
    """The settings by parameter name."""
    return {
        "depth": len(architecture.widths),
        **{f"layer{i}.width": width for i, width in enumerate(architecture.widths, 1)},
        "activation": architecture.activation,
        "dropout": architecture.dropout,
    }
