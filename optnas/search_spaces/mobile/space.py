"""Mobile networks: stages of inverted residuals, as in MobileNetV2, V3 and their successors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace, random_example
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.mobile import presets, published
from optnas.search_spaces.mobile.architecture import MobileArchitecture
from optnas.search_spaces.mobile.layers import network
from optnas.search_spaces.mobile.settings import MobileSettings
from optnas.search_spaces.staged import IMAGENET, Shape, choose, choose_stride, rounded, strided


@dataclass(frozen=True)
class MobileSpace(MobileSettings, SearchSpace[MobileArchitecture], Encodable[MobileArchitecture]):
    """Mobile networks: a 3×3 convolution, stages of inverted residuals, and a classifier.

    An inverted residual is a 1×1 convolution that expands the channels, a depthwise convolution,
    squeeze-and-excitation if chosen, and a 1×1 convolution without activation; its input is added
    where the shape allows. After the stages come a 1×1 convolution (unless its width is 0), global
    average pooling, a linear layer (unless its width is 0), and the linear classifier. There is no
    dropout.

    Class methods make spaces: `small` for small images, `around` a given network, and those of
    papers: `ofa_mbv3`, `proxyless`, `mnasnet`, `nasbench_macro` and `efficientnet`. `mobilenet_v2`
    and `mobilenet_v3_large` give architectures, which `build` of any space makes.

    Parameters: `resolution`, `width_multiplier`, `depth_multiplier`, `activation` (of stem and
    head), `stem.width`, `stem.stride`, `stage1.depth`, `stage1.width`, `stage1.stride`,
    `stage1.block1.kernel_size`, …, `head.width`, `head.hidden_width`. What all blocks of a stage
    share is called `stage1.activation`, say. A setting with one value is no parameter. A kernel is
    a choice only where more than its middle can touch the image, and a stride only where the image
    has more than one pixel.

    Example:
        ```python
        import optnas

        space = optnas.MobileSpace.small((1, 28, 28), 10)
        ```

    Attributes:
        input_shape: `(channels, height, width)` of one image.
        outputs: The number of classes.
        stages: The choices for each stage.
        stem_widths: The choices for the output channels of the first convolution.
        stem_strides: The choices for its stride.
        activations: The choices for the activation of stem and head.
        head_widths: The choices for the channels before pooling; 0 leaves that convolution out.
        hidden_widths: The choices for the features after pooling; 0 leaves that layer out.
        resolutions: The choices for height and width, to which the network resizes its images;
            empty leaves them as they are.
        width_multipliers: The choices for a multiple of all widths, which must be fixed then. Each
            product is rounded to a multiple of 8.
        depth_multipliers: The choices for a multiple of all depths, which must be fixed then. Each
            product is rounded up.

    Raises:
        ValueError: A setting is out of range, or two multipliers give the same networks.
    """

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, channels, height, width)`."""
        return random_example(*self.input_shape)

    def suggest(self, trial: BaseTrial) -> MobileArchitecture:
        """Draws what concerns the whole network, then stem, stages and head."""
        resolution = choose(trial, "resolution", self.resolutions) if self.resolutions else None
        size = self.input_shape[1:] if resolution is None else (resolution, resolution)
        resized = size != self.input_shape[1:]
        wide = choose(trial, "width_multiplier", self.width_multipliers)
        deep = choose(trial, "depth_multiplier", self.depth_multipliers)
        activation = choose(trial, "activation", self.activations)
        stem_width = choose(trial, "stem.width", self.stem_widths)
        stem_stride = choose_stride(trial, "stem.stride", self.stem_strides, size)
        size = strided(size, stem_stride)
        stages = []
        for i, stage in enumerate(self.stages, 1):
            blocks = stage.suggest(trial, f"stage{i}", size, wide=wide, deep=deep)
            stages.append(blocks)
            size = strided(size, blocks[0].stride if blocks else 1)
        while stages and not stages[-1]:
            stages.pop()
        return MobileArchitecture(
            rounded(stem_width, wide),
            stem_stride,
            activation,
            tuple(stages),
            rounded(choose(trial, "head.width", self.head_widths), wide),
            rounded(choose(trial, "head.hidden_width", self.hidden_widths), wide),
            resolution if resized else None,
        )

    def build(self, architecture: MobileArchitecture) -> nn.Module:
        """Makes the network.

        Its layers are called `resize`, `stem`, `stage1.block1.expand`, `.depthwise`,
        `.squeeze_excitation` and `.project`, …, `head`, `pool`, `flatten`, `hidden` and
        `classifier`.
        """
        channels, *size = self.input_shape
        return network(architecture, channels, (size[0], size[1]), self.outputs)

    def params_of(self, architecture: MobileArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, self.settings_of)

    @classmethod
    def small(
        cls, input_shape: Shape, outputs: int, *, depth: tuple[int, int] = (0, 2), stages: int = 4
    ) -> MobileSpace:
        """Networks of few layers for images of 28 to 64 pixels, made for low latencies on CPUs.

        Few layers make a network quick on a CPU, so a stage may be left out. Later stages are
        wider; each stage may halve the image.

        Args:
            input_shape: See the class.
            outputs: See the class.
            depth: The least and greatest number of blocks in each stage.
            stages: The number of stages, from 1 to 4.
        """
        return cls._of(presets.small(input_shape, outputs, depth, stages))

    @classmethod
    def around(
        cls,
        architecture: MobileArchitecture,
        input_shape: Shape,
        outputs: int,
        *,
        fewest_blocks: int = 1,
        widths: Sequence[float] = (0.5, 0.75, 1.0, 1.25),
        kernel_sizes: Sequence[int] = (3, 5, 7),
        expansions: Sequence[float] = (3, 4, 6),
        squeeze_excitations: Sequence[str] = ("none", "expanded"),
    ) -> MobileSpace:
        """Networks like a given one, which is among them, so that it can be a trial of the study.

        Args:
            architecture: Such as `MobileSpace.mobilenet_v2(input_shape, width=0.25)`.
            input_shape: See the class.
            outputs: See the class.
            fewest_blocks: Each stage has from this to the architecture's number of blocks.
            widths: Multiples of the architecture's widths, for each stage, stem and head.
            kernel_sizes: The choices for a kernel, besides the architecture's own.
            expansions: The choices for an expansion, besides the architecture's own.
            squeeze_excitations: The choices for a stage, besides the architecture's own.
        """
        settings = presets.around(
            architecture,
            input_shape,
            outputs,
            fewest_blocks=fewest_blocks,
            widths=widths,
            kernel_sizes=kernel_sizes,
            expansions=expansions,
            squeeze_excitations=squeeze_excitations,
        )
        return cls._of(settings)

    @classmethod
    def ofa_mbv3(
        cls,
        input_shape: Shape = IMAGENET,
        outputs: int = 1000,
        *,
        strides: Sequence[int] | None = None,
        resolutions: tuple[int, ...] = (),
    ) -> MobileSpace:
        """Once-for-all: five stages of 2 to 4 blocks, kernels 3 to 7, expansions 3 to 6.

        Its paper has resolutions too: `tuple(range(128, 225, 4))`. The layer after pooling has a
        bias here. `strides` are those of stem and six stages: 2, 1, 2, 2, 2, 1, 2 by default.
        """
        return cls._of(presets.ofa_mbv3(input_shape, outputs, strides, resolutions))

    @classmethod
    def proxyless(
        cls,
        input_shape: Shape = IMAGENET,
        outputs: int = 1000,
        *,
        strides: Sequence[int] | None = None,
    ) -> MobileSpace:
        """ProxylessNAS: stages of up to 4 blocks, kernels 3 to 7, expansions 3 and 6.

        `strides` are those of stem and seven stages: 2, 1, 2, 2, 2, 1, 2, 1 by default.
        """
        return cls._of(presets.proxyless(input_shape, outputs, strides))

    @classmethod
    def mnasnet(
        cls,
        input_shape: Shape = IMAGENET,
        outputs: int = 1000,
        *,
        strides: Sequence[int] | None = None,
    ) -> MobileSpace:
        """MnasNet: MobileNetV2 with a block more or less a stage, and 0.75 to 1.25 of its widths.

        The blocks of a stage are equal: kernels 3 and 5, expansions 3 and 6, with or without
        squeeze-and-excitation. The paper has plain convolutions and other skip connections too.
        `strides` are those of stem and seven stages: 2, 1, 2, 2, 2, 1, 2, 1 by default.
        """
        return cls._of(presets.mnasnet(input_shape, outputs, strides))

    @classmethod
    def nasbench_macro(cls, input_shape: Shape = (3, 32, 32), outputs: int = 10) -> MobileSpace:
        """NAS-Bench-Macro: 3^8 = 6,561 networks of 8 blocks, each with one of three operations."""
        return cls._of(presets.nasbench_macro(input_shape, outputs))

    @classmethod
    def efficientnet(
        cls,
        input_shape: Shape = IMAGENET,
        outputs: int = 1000,
        *,
        coefficients: Sequence[int] = (0, 1, 2, 3),
        alpha: float = 1.2,
        beta: float = 1.1,
        gamma: float = 1.15,
        strides: Sequence[int] | None = None,
    ) -> MobileSpace:
        """EfficientNet: multiples of B0's depth, width and resolution.

        The multipliers are powers of `alpha` (depth), `beta` (width) and `gamma` (resolution, of
        the image's height), with `coefficients` as exponents; negative ones give smaller networks
        than B0. The same exponent for all three is the paper's compound scaling. `strides` are
        those of stem and seven stages: 2, 1, 2, 2, 2, 1, 2, 1 by default.
        """
        bases = (alpha, beta, gamma)
        return cls._of(presets.efficientnet(input_shape, outputs, coefficients, bases, strides))

    @classmethod
    def _of(cls, settings: MobileSettings) -> MobileSpace:
        return cls(**vars(settings))

    @staticmethod
    def mobilenet_v2(
        input_shape: Shape = IMAGENET, *, width: float = 1.0, strides: Sequence[int] | None = None
    ) -> MobileArchitecture:
        """MobileNetV2, an architecture for `build`.

        `width` multiplies all widths; below 1, the last convolution keeps 1280. `strides` are those
        of stem and seven stages, for small images: 2, 1, 2, 2, 2, 1, 2, 1 by default.
        """
        return published.mobilenet_v2(input_shape, width, strides)

    @staticmethod
    def mobilenet_v3_large(
        input_shape: Shape = IMAGENET, *, width: float = 1.0, strides: Sequence[int] | None = None
    ) -> MobileArchitecture:
        """MobileNetV3-Large, an architecture for `build`.

        `width` multiplies all widths; expansions stay multiples of a block's input channels.
        `strides` are those of stem and six stages: 2, 1, 2, 2, 2, 1, 2 by default.
        """
        return published.mobilenet_v3_large(input_shape, width, strides)
