"""Small convolutional networks with layers that are chosen one by one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import ACTIVATIONS, SearchSpace, random_example, without_defaults
from optnas.search_spaces.checks import (
    check_activations,
    check_image_shape,
    check_names,
    check_range,
    check_sizes,
)
from optnas.search_spaces.encoding import encode
from optnas.utils.checks import check_counts

OPERATIONS = ("conv", "sepconv")
POOLS = ("none", "max", "avg")
REDUCTIONS = (*POOLS, "stride")
"""What may halve a layer's image: nothing, pooling, or a stride of the convolution."""
HEADS = ("mean", "flatten")
"""What the linear layers see: the mean of each channel, or each pixel of it."""


@dataclass(frozen=True)
class ConvLayer:
    """One layer: operation, kernel size, output channels, activation, skip connection, pooling.

    The operation is `conv` (a convolution) or `sepconv` (a depthwise convolution, then a 1×1 one).
    `pool` is `none`, `max`, `avg`, or `stride`: then the convolution moves by 2 pixels.
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
    """The layers from the input to the linear ones, and these.

    Attributes:
        layers: The convolutions.
        head: `mean` (global average pooling) or `flatten`.
        hidden: The width of a linear layer before the outputs; 0 for none.
    """

    layers: tuple[ConvLayer, ...]
    head: str = "mean"
    hidden: int = 0

    def __str__(self) -> str:
        head = [] if self.head == "mean" else [self.head]
        hidden = [f"hidden{self.hidden}"] if self.hidden else []
        return " ".join([*map(str, self.layers), *head, *hidden])


@dataclass(frozen=True)
class MacroCNNSpace(SearchSpace[MacroCNNArchitecture], Encodable[MacroCNNArchitecture]):
    """Convolutional networks with layers that are chosen one by one.

    Global average pooling and a linear layer follow the last of them. With `heads`, the linear
    layer may see all pixels in place of their means, as in LeNet-5, and with `hidden` there may be
    one more before it: so a few layers make an accurate network, which is what a small latency
    asks for. With a least depth of 0 there are perceptrons among the networks.

    Parameters: `depth`; for each layer `layer1.operation`, `layer1.kernel_size`,
    `layer1.channels`, `layer1.activation`, `layer1.skip` and `layer1.pool`, …; `head` and `hidden`
    where they have several choices. Pooling and strides halve height and width, and are a choice
    only where both are at least 2. A kernel is a choice only where more than its middle can touch
    the image: on a 1×1 image the layer is a 1×1 convolution, without a choice of operation or
    kernel size. `head` is a choice only where there is more than one pixel and at least one layer:
    without layers, the linear ones see all pixels.

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
        pools: The choices for what halves a layer's image, among `none`, `max`, `avg` and `stride`.
        heads: The choices among `mean` and `flatten`.
        hidden: The choices for the width of a linear layer before the outputs, with a ReLU; 0 for
            none.

    Raises:
        ValueError: A range is empty, a kernel is even, or a name is unknown.
    """

    input_shape: tuple[int, int, int]
    outputs: int
    depth: tuple[int, int] = (1, 6)
    channels: tuple[int, ...] = (8, 16, 32, 64)
    kernel_sizes: tuple[int, int] = (3, 7)
    activations: tuple[str, ...] = ("relu", "leaky_relu", "tanh", "gelu")
    pools: tuple[str, ...] = POOLS
    heads: tuple[str, ...] = ("mean",)
    hidden: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        check_range("depth", self.depth, 0)
        check_range("kernel_sizes", self.kernel_sizes, 1)
        check_activations(self.activations)
        if any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes must be odd, got {self.kernel_sizes}")
        check_sizes("channels", self.channels)
        check_names("pools", self.pools, REDUCTIONS)
        check_names("heads", self.heads, HEADS)
        check_sizes("hidden", self.hidden, 0)
        check_counts(outputs=self.outputs)
        check_image_shape(self.input_shape)

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, channels, height, width)`."""
        return random_example(*self.input_shape)

    @property
    def fingerprint(self) -> str:
        """See `SearchSpace`; studies from before there were the last three settings resume."""
        return without_defaults(self, "pools", "heads", "hidden")

    def suggest(self, trial: BaseTrial) -> MacroCNNArchitecture:
        """Draws the depth, each layer in turn, and the linear layers."""
        layers = []
        height, width = self.input_shape[1:]
        for i in range(1, trial.suggest_int("depth", *self.depth) + 1):
            layer = self._suggest_layer(trial, f"layer{i}", height, width)
            height, width = _reduced(layer, height, width)
            layers.append(layer)
        head = "mean" if layers else "flatten"
        if layers and height * width > 1:
            head = _one_of(trial, "head", self.heads)
        return MacroCNNArchitecture(tuple(layers), head, _one_of(trial, "hidden", self.hidden))

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
        # A dimension of size 1 can't be halved, so this depends on the smaller one.
        if min(height, width) >= 2:
            pool = trial.suggest_categorical(f"{name}.pool", self.pools)
        return ConvLayer(operation, kernel_size, channels, activation, skip, pool)

    def params_of(self, architecture: MacroCNNArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, _settings)

    def build(self, architecture: MacroCNNArchitecture) -> nn.Module:
        """Makes the layers, global average pooling or none, and the linear layers.

        They are named `layer1`, …, `pool`, `flatten`, `hidden`, `hidden_activation` and `head`. A
        linear layer that sees pixels has their number in its name, such as `head7x7`, and a head
        after a hidden layer is `output`: layers of one name have weights of one meaning.
        """
        modules: dict[str, nn.Module] = {}
        features, height, width = self.input_shape
        for i, layer in enumerate(architecture.layers, 1):
            modules[f"layer{i}"] = _Block(features, layer)
            features = layer.channels
            height, width = _reduced(layer, height, width)
        pixels = ""
        if architecture.head == "mean":
            modules["pool"] = nn.AdaptiveAvgPool2d(1)
        else:
            pixels, features = f"{height}x{width}", features * height * width
        modules["flatten"] = nn.Flatten()
        head = f"head{pixels}"
        if architecture.hidden:
            modules[f"hidden{pixels}"] = nn.Linear(features, architecture.hidden)
            modules["hidden_activation"] = nn.ReLU()
            head, features = "output", architecture.hidden
        modules[head] = nn.Linear(features, self.outputs)
        return nn.Sequential(OrderedDict(modules))


def _one_of(trial: BaseTrial, name: str, choices: Sequence[Any]) -> Any:
    """A choice that is no parameter where there is only one."""
    return trial.suggest_categorical(name, choices) if len(choices) > 1 else choices[0]


def _reduced(layer: ConvLayer, height: int, width: int) -> tuple[int, int]:
    """Height and width after a layer."""
    if layer.pool == "none":
        return height, width
    more = layer.pool == "stride"  # pooling drops the last of an odd number
    return (height + more) // 2, (width + more) // 2


def _settings(architecture: MacroCNNArchitecture) -> dict[str, Any]:
    """The settings by parameter name."""
    settings: dict[str, Any] = {
        "depth": len(architecture.layers),
        "head": architecture.head,
        "hidden": architecture.hidden,
    }
    for i, layer in enumerate(architecture.layers, 1):
        settings |= {f"layer{i}.{name}": value for name, value in asdict(layer).items()}
    return settings


class _Block(nn.Module):
    """Convolution, batch normalisation, activation, skip connection (if any), then pooling.

    A skip connection adds the block's input; where the numbers of channels or the sizes differ,
    through a 1×1 convolution.
    """

    def __init__(self, channels: int, layer: ConvLayer) -> None:
        super().__init__()
        out, size = layer.channels, layer.kernel_size
        stride = 2 if layer.pool == "stride" else 1
        pad = size // 2
        self.conv: nn.Module
        if layer.operation == "conv":
            self.conv = nn.Conv2d(channels, out, size, stride, pad, bias=False)
        else:
            self.conv = nn.Sequential(
                nn.Conv2d(channels, channels, size, stride, pad, groups=channels, bias=False),
                nn.Conv2d(channels, out, 1, bias=False),
            )
        self.norm = nn.BatchNorm2d(out)
        self.activation = ACTIVATIONS[layer.activation]()
        self.skip: nn.Module | None = None
        if layer.skip:
            same = channels == out and stride == 1
            self.skip = nn.Identity() if same else nn.Conv2d(channels, out, 1, stride, bias=False)
        pools = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
        self.pool = pools[layer.pool](2) if layer.pool in pools else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm(self.conv(x)))
        if self.skip is not None:
            y = y + self.skip(x)
        pooled: Tensor = self.pool(y)
        return pooled
