"""Multi-layer perceptrons."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.base import ACTIVATIONS, SearchSpace, random_example


@dataclass(frozen=True)
class MLPArchitecture:
    """Widths of the hidden layers, their activation, and the dropout after each."""

    widths: tuple[int, ...]
    activation: str
    dropout: float

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        return f"mlp {widths} {self.activation} dropout={self.dropout:g}"


@dataclass(frozen=True)
class MLPSpace(SearchSpace[MLPArchitecture]):
    """Multi-layer perceptrons of different depths and widths.

    Parameters: `depth`; for each hidden layer `layer1.width`, …; `activation`; `dropout`.

    Attributes:
        input_shape: Shape of one example, without the batch dimension; it is flattened.
        outputs: Number of classes, or of regression targets.
        depth: Fewest and most hidden layers.
        width: Smallest and largest hidden layer; steps of `width_step`.
        activations: Names among `relu`, `leaky_relu`, `tanh`, `gelu`; one for all layers.
        dropout: Smallest and largest dropout probability; steps of `dropout_step`.

    Raises:
        ValueError: A range is empty or negative, or an activation is unknown.
    """

    input_shape: tuple[int, ...]
    outputs: int
    depth: tuple[int, int] = (1, 5)
    width: tuple[int, int] = (32, 512)
    width_step: int = 32
    activations: tuple[str, ...] = ("relu", "leaky_relu", "tanh", "gelu")
    dropout: tuple[float, float] = (0.0, 0.6)
    dropout_step: float = 0.1

    def __post_init__(self) -> None:
        check_sizes("input_shape", self.input_shape)
        check_sizes("outputs and width_step", (self.outputs, self.width_step))
        check_range("depth", self.depth, 1)
        check_range("width", self.width, 1)
        check_range("dropout", self.dropout, 0.0)
        if self.dropout[1] >= 1.0:
            raise ValueError(f"dropout must stay below 1, got {self.dropout}")
        check_activations(self.activations)

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, *input_shape)`."""
        return random_example(*self.input_shape)

    def suggest(self, trial: BaseTrial) -> MLPArchitecture:
        """Draws depth, widths, activation and dropout."""
        depth = trial.suggest_int("depth", *self.depth)
        widths = tuple(
            trial.suggest_int(f"layer{i}.width", *self.width, step=self.width_step)
            for i in range(1, depth + 1)
        )
        activation = trial.suggest_categorical("activation", self.activations)
        dropout = trial.suggest_float("dropout", *self.dropout, step=self.dropout_step)
        return MLPArchitecture(widths, activation, round(dropout, 6))

    def build(self, architecture: MLPArchitecture) -> nn.Module:
        """Linear layers, each with its activation and dropout, and a linear head.

        They are called `layer1`, …, `head`.
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


def check_range(name: str, bounds: tuple[float, float], lowest: float) -> None:
    """Raises ValueError unless `lowest <= bounds[0] <= bounds[1]`."""
    try:
        low, high = bounds
        fits = lowest <= low <= high
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"{name} must be (low, high) with {lowest:g} <= low <= high, got {bounds}")


def check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    """Raises ValueError unless all are whole numbers of at least 1, and there is one."""
    if not sizes or not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ValueError(f"{name} must be whole numbers of at least 1, got {sizes}")


def check_activations(names: tuple[str, ...]) -> None:
    """Raises ValueError unless every name is a known activation and there is one."""
    unknown = [name for name in names if name not in ACTIVATIONS]
    if unknown or not names:
        raise ValueError(f"activations must be among {', '.join(ACTIVATIONS)}, got {names}")
