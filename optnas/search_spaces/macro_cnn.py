"""Small convolutional networks with layers that are chosen one by one."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import ACTIVATIONS, SearchSpace, random_example
from optnas.search_spaces.checks import (
    check_activations,
    check_image_shape,
    check_range,
    check_sizes,
)
from optnas.search_spaces.encoding import encode
from optnas.utils.checks import check_counts

OPERATIONS = ("conv", "sepconv")
POOLS = ("none", "max", "avg")


@dataclass(frozen=True)
class ConvLayer:
    """One layer: operation, kernel size, output channels, activation, skip connection, pooling.

    The operation is `conv` (a convolution) or `sepconv` (a depthwise convolution, then a 1×1 one).
    """

    operation: str
    kernel_size: int
    channels: int
    activation: str
    skip: bool
    pool: str

    def __str__(self) -> str:
        skip = "+skip" if self.skip else ""
        pool = f"/{self.pool}" if self.pool != "none" else ""
        return f"{self.operation}{self.kernel_size}-{self.channels}-{self.activation}{skip}{pool}"


@dataclass(frozen=True)
class MacroCNNArchitecture:
    """The layers from the input to the global average pooling."""

    layers: tuple[ConvLayer, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.layers))


@dataclass(frozen=True)
class MacroCNNSpace(SearchSpace[MacroCNNArchitecture], Encodable[MacroCNNArchitecture]):
    """Convolutional networks with layers that are chosen one by one.

    Global average pooling and a linear layer follow the last of them.

    Parameters: `depth`; for each layer `layer1.operation`, `layer1.kernel_size`,
    `layer1.channels`, `layer1.activation`, `layer1.skip` and `layer1.pool`, …. Pooling halves
    height and width, and is a choice only where both are at least 2. A kernel is a choice only
    where more than its middle can touch the image: on a 1×1 image the layer is a 1×1 convolution,
    without a choice of operation or kernel size.

    Example:
        ```python
        import optnas

        space = optnas.MacroCNNSpace((3, 32, 32), 10, depth=(2, 4), channels=(16, 32))
        ```

    Attributes:
        input_shape: `(channels, height, width)` of one image.
        outputs: The number of classes.
        depth: The least and greatest number of layers.
        channels: The choices for a layer's output channels.
        kernel_sizes: The least and greatest kernel size, both odd, in steps of 2.
        activations: Names among `relu`, `relu6`, `leaky_relu`, `tanh`, `gelu`, `silu` and
            `hard_swish`; each layer has its own.

    Raises:
        ValueError: A range is empty, a kernel is even, or an activation is unknown.
    """

    input_shape: tuple[int, int, int]
    outputs: int
    depth: tuple[int, int] = (1, 6)
    channels: tuple[int, ...] = (8, 16, 32, 64)
    kernel_sizes: tuple[int, int] = (3, 7)
    activations: tuple[str, ...] = ("relu", "leaky_relu", "tanh", "gelu")

    def __post_init__(self) -> None:
        check_range("depth", self.depth, 1)
        check_range("kernel_sizes", self.kernel_sizes, 1)
        check_activations(self.activations)
        if any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes must be odd, got {self.kernel_sizes}")
        check_sizes("channels", self.channels)
        check_counts(outputs=self.outputs)
        check_image_shape(self.input_shape)

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, channels, height, width)`."""
        return random_example(*self.input_shape)

    def suggest(self, trial: BaseTrial) -> MacroCNNArchitecture:
        """Draws the depth, then each layer in turn."""
        layers = []
        # A dimension of size 1 can't be halved, so pooling depends on the smaller one.
        height, width = self.input_shape[1:]
        for i in range(1, trial.suggest_int("depth", *self.depth) + 1):
            layer = self._suggest_layer(trial, f"layer{i}", height, width)
            if layer.pool != "none":
                height, width = height // 2, width // 2
            layers.append(layer)
        return MacroCNNArchitecture(tuple(layers))

    def _suggest_layer(self, trial: BaseTrial, name: str, height: int, width: int) -> ConvLayer:
        operation, kernel_size = "conv", 1
        smallest, largest = self.kernel_sizes
        # A kernel of 2·size - 1 reaches from one edge of the image to the other.
        useful = min(largest, 2 * max(height, width) - 1)
        if useful >= smallest:
            operation = trial.suggest_categorical(f"{name}.operation", OPERATIONS)
            kernel_size = smallest
            if useful > smallest:
                kernel_size = trial.suggest_int(f"{name}.kernel_size", smallest, useful, step=2)
        channels = trial.suggest_categorical(f"{name}.channels", self.channels)
        activation = trial.suggest_categorical(f"{name}.activation", self.activations)
        skip = trial.suggest_categorical(f"{name}.skip", (False, True))
        pool = "none"
        if min(height, width) >= 2:
            pool = trial.suggest_categorical(f"{name}.pool", POOLS)
        return ConvLayer(operation, kernel_size, channels, activation, skip, pool)

    def params_of(self, architecture: MacroCNNArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, _settings)

    def build(self, architecture: MacroCNNArchitecture) -> nn.Module:
        """Makes the layers, global average pooling, and a linear head.

        They are named `layer1`, …, `pool`, `flatten` and `head`.
        """
        modules: dict[str, nn.Module] = {}
        channels = self.input_shape[0]
        for i, layer in enumerate(architecture.layers, 1):
            modules[f"layer{i}"] = _Block(channels, layer)
            channels = layer.channels
        modules |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
        modules["head"] = nn.Linear(channels, self.outputs)
        return nn.Sequential(OrderedDict(modules))


def _settings(architecture: MacroCNNArchitecture) -> dict[str, Any]:
    """The settings by parameter name."""
    settings: dict[str, Any] = {"depth": len(architecture.layers)}
    for i, layer in enumerate(architecture.layers, 1):
        settings |= {f"layer{i}.{name}": value for name, value in asdict(layer).items()}
    return settings


class _Block(nn.Module):
    """Convolution, batch normalisation, activation, skip connection (if any), then pooling.

    A skip connection adds the block's input; where the numbers of channels differ, through a 1×1
    convolution.
    """

    def __init__(self, channels: int, layer: ConvLayer) -> None:
        super().__init__()
        out, size = layer.channels, layer.kernel_size
        self.conv: nn.Module
        if layer.operation == "conv":
            self.conv = nn.Conv2d(channels, out, size, padding=size // 2, bias=False)
        else:
            self.conv = nn.Sequential(
                nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels, bias=False),
                nn.Conv2d(channels, out, 1, bias=False),
            )
        self.norm = nn.BatchNorm2d(out)
        self.activation = ACTIVATIONS[layer.activation]()
        self.skip: nn.Module | None = None
        if layer.skip:
            self.skip = (
                nn.Identity() if channels == out else nn.Conv2d(channels, out, 1, bias=False)
            )
        self.pool = {"none": nn.Identity, "max": _max_pool, "avg": _avg_pool}[layer.pool]()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm(self.conv(x)))
        if self.skip is not None:
            y = y + self.skip(x)
        pooled: Tensor = self.pool(y)
        return pooled


def _max_pool() -> nn.Module:
    return nn.MaxPool2d(2)


def _avg_pool() -> nn.Module:
    return nn.AvgPool2d(2)
