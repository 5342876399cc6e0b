"""Residual networks: stages of basic and bottleneck blocks.

Sources: He et al., Deep residual learning for image recognition, CVPR 2016 (arXiv 1512.03385); Xie
et al., Aggregated residual transformations for deep neural networks, CVPR 2017 (arXiv 1611.05431).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace, random_example
from optnas.search_spaces.checks import (
    check_booleans,
    check_image_shape,
    check_kernel_sizes,
    check_positives,
    check_sizes,
    check_stages,
)
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.resnet.architecture import ResNetArchitecture, ResNetBlocks
from optnas.search_spaces.resnet.layers import network
from optnas.search_spaces.resnet.stage import ResNetStage
from optnas.search_spaces.staged import (
    IMAGENET,
    Shape,
    Size,
    check_strides,
    choose,
    choose_kernel,
    choose_stride,
    rounded,
    strided,
    useful_kernel,
    useful_stride,
)
from optnas.utils.checks import check_counts


@dataclass(frozen=True)
class ResNetSpace(SearchSpace[ResNetArchitecture], Encodable[ResNetArchitecture]):
    """Residual networks: a convolution, stages of residual blocks, pooling and a linear classifier.

    The blocks of a stage are equal. A shortcut is a 1×1 convolution where the shape changes.
    `small` makes a space for small images, `imagenet` one that has the published networks;
    `resnet18`, `resnet50` and `resnet_cifar` give architectures, which `build` of any space makes.

    Parameters: `stem.width`, `stem.kernel_size`, `stem.stride`, `stem.pool`, `stage1.depth`,
    `stage1.width`, `stage1.stride`, `stage1.block`, and for bottleneck blocks
    `stage1.inner_multiplier` and `stage1.groups`, …. A setting with one value is no parameter.
    Stride and pooling are choices only where the image has more than one pixel.

    Example:
        ```python
        import optnas

        space = optnas.ResNetSpace.small((1, 28, 28), 10)
        params = space.params_of(optnas.ResNetSpace.resnet_cifar((1, 28, 28), blocks=1))
        ```

    Attributes:
        input_shape: `(channels, height, width)` of one image.
        outputs: The number of classes.
        stages: The choices for each stage.
        stem_widths: The choices for the output channels of the first convolution.
        stem_kernel_sizes: The choices for its kernel size: odd, in steps of 2.
        stem_strides: The choices for its stride.
        stem_pools: The choices for whether a 3×3 max pooling of stride 2 follows it.

    Raises:
        ValueError: A setting is out of range.
    """

    input_shape: Shape
    outputs: int
    stages: tuple[ResNetStage, ...]
    stem_widths: tuple[int, ...] = (16,)
    stem_kernel_sizes: tuple[int, ...] = (3,)
    stem_strides: tuple[int, ...] = (1,)
    stem_pools: tuple[bool, ...] = (False,)

    def __post_init__(self) -> None:
        check_image_shape(self.input_shape)
        check_counts(outputs=self.outputs)
        check_stages(self.stages, ResNetStage)
        check_sizes("stem_widths", self.stem_widths)
        check_kernel_sizes(self.stem_kernel_sizes, "stem_kernel_sizes")
        check_sizes("stem_strides", self.stem_strides)
        check_booleans("stem_pools", self.stem_pools)

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, channels, height, width)`."""
        return random_example(*self.input_shape)

    def suggest(self, trial: BaseTrial) -> ResNetArchitecture:
        """Draws the stem, then each stage."""
        size: Size = self.input_shape[1:]
        width = choose(trial, "stem.width", self.stem_widths)
        kernel_size = choose_kernel(trial, "stem.kernel_size", self.stem_kernel_sizes, size)
        stride = choose_stride(trial, "stem.stride", self.stem_strides, size)
        size = strided(size, stride)
        pool = max(size) > 1 and choose(trial, "stem.pool", self.stem_pools)
        size = strided(size, 2 if pool else 1)
        stages: list[ResNetBlocks | None] = []
        for i, stage in enumerate(self.stages, 1):
            blocks = stage.suggest(trial, f"stage{i}", size)
            stages.append(blocks)
            size = strided(size, blocks.stride if blocks else 1)
        while stages and stages[-1] is None:
            stages.pop()
        return ResNetArchitecture(width, kernel_size, stride, pool, tuple(stages))

    def build(self, architecture: ResNetArchitecture) -> nn.Module:
        """Makes the network.

        Its layers are called `stem`, `stem_pool`, `stage1.block1.body`, `.shortcut` and
        `.activation`, …, `pool`, `flatten` and `classifier`.
        """
        return network(architecture, self.input_shape[0], self.outputs)

    def params_of(self, architecture: ResNetArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, self._settings)

    def _settings(self, architecture: ResNetArchitecture) -> dict[str, Any]:
        """An architecture's settings by parameter name; fixed ones too."""
        settings: dict[str, Any] = {
            "stem.width": architecture.stem_width,
            "stem.kernel_size": architecture.stem_kernel_size,
            "stem.stride": architecture.stem_stride,
            "stem.pool": architecture.stem_pool,
        }
        stages = list(architecture.stages)
        stages += [None] * (len(self.stages) - len(stages))
        for i, blocks in enumerate(stages, 1):
            own = {"depth": 0} if blocks is None else asdict(blocks)
            settings |= {f"stage{i}.{setting}": value for setting, value in own.items()}
        return settings

    @classmethod
    def small(
        cls, input_shape: Shape, outputs: int, *, depth: tuple[int, int] = (0, 2), stages: int = 3
    ) -> ResNetSpace:
        """Narrow networks of few layers for images of 28 to 64 pixels; ResNet-8 is one of them.

        Args:
            input_shape: See the class.
            outputs: See the class.
            depth: The least and greatest number of blocks in each stage.
            stages: The number of stages, from 1 to 4.
        """
        widths = ((4, 8, 16), (8, 16, 32), (16, 32, 64), (32, 64, 128))
        if not 1 <= stages <= len(widths):
            raise ValueError(f"stages must be from 1 to {len(widths)}, got {stages}")
        return cls(
            input_shape,
            outputs,
            tuple(
                ResNetStage(depth, own, strides=(1, 2), blocks=("basic", "bottleneck"))
                for own in widths[:stages]
            ),
            stem_widths=(4, 8, 16, 32),
            stem_kernel_sizes=(3, 5),
            stem_strides=(1, 2),
            stem_pools=(False, True),
        )

    @classmethod
    def imagenet(cls, input_shape: Shape = IMAGENET, outputs: int = 1000) -> ResNetSpace:
        """ResNet-18 to 152, ResNeXt-50 and 101 (32×4d), Wide ResNet-50 and 101, and those between.

        Each of the four stages has from the least to the greatest number of blocks of these.
        """
        return cls(
            input_shape,
            outputs,
            tuple(
                ResNetStage(
                    (2, deepest),
                    (width,),
                    (stride,),
                    ("basic", "bottleneck"),
                    inner_multipliers=(1, 2),
                    groups=(1, 32),
                )
                for deepest, width, stride in ((3, 64, 1), (8, 128, 2), (36, 256, 2), (3, 512, 2))
            ),
            stem_widths=(64,),
            stem_kernel_sizes=(7,),
            stem_strides=(2,),
            stem_pools=(True,),
        )

    @staticmethod
    def resnet18(
        input_shape: Shape = IMAGENET, *, width: float = 1.0, strides: Sequence[int] | None = None
    ) -> ResNetArchitecture:
        """ResNet-18, an architecture for `build`.

        `width` multiplies all widths. `strides` are those of stem and four stages: 2, 1, 2, 2, 2 by
        default. With a stem's stride of 1, the stem has a 3×3 kernel and no pooling, as is usual
        for small images.
        """
        return _four_stages(input_shape, (2, 2, 2, 2), "basic", width, strides)

    @staticmethod
    def resnet50(
        input_shape: Shape = IMAGENET, *, width: float = 1.0, strides: Sequence[int] | None = None
    ) -> ResNetArchitecture:
        """ResNet-50, an architecture for `build`; see `resnet18`."""
        return _four_stages(input_shape, (3, 4, 6, 3), "bottleneck", width, strides)

    @staticmethod
    def resnet_cifar(
        input_shape: Shape = (3, 32, 32), *, blocks: int = 1, width: int = 16
    ) -> ResNetArchitecture:
        """He et al.'s networks for CIFAR-10, of 6·`blocks` + 2 layers: ResNet-8, 14, 20, ….

        Shortcuts between stages are 1×1 convolutions here. `width` is that of the first stage.
        """
        check_counts(blocks=blocks, width=width)
        stages = [(blocks, width, 1), (blocks, 2 * width, 2), (blocks, 4 * width, 2)]
        return _network(input_shape, width, 3, 1, stages, "basic")


def _four_stages(
    input_shape: Shape,
    depths: Sequence[int],
    block: str,
    width: float,
    strides: Sequence[int] | None,
) -> ResNetArchitecture:
    check_positives("width", (width,))
    stem, *others = check_strides(strides, (2, 1, 2, 2, 2))
    widths = [rounded(base, width) for base in (64, 128, 256, 512)]
    stages = list(zip(depths, widths, others, strict=True))
    return _network(input_shape, rounded(64, width), 7 if stem > 1 else 3, stem, stages, block)


def _network(
    input_shape: Shape,
    stem_width: int,
    stem_kernel_size: int,
    stem_stride: int,
    stages: Sequence[tuple[int, int, int]],
    block: str,
) -> ResNetArchitecture:
    """A network of stages with depth, width and stride, for images of a size."""
    size: Size = input_shape[1:]
    kernel_size = useful_kernel(stem_kernel_size, size)
    stem_stride = useful_stride(stem_stride, size)
    size = strided(size, stem_stride)
    pool = stem_stride > 1 and max(size) > 1
    size = strided(size, 2 if pool else 1)
    found = []
    for depth, width, stride in stages:
        found.append(ResNetBlocks(depth, width, useful_stride(stride, size), block))
        size = strided(size, stride)
    return ResNetArchitecture(stem_width, kernel_size, stem_stride, pool, tuple(found))
