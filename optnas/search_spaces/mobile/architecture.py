"""Mobile networks as records: the settings of each block, from the stem to the classifier."""

from __future__ import annotations

from dataclasses import dataclass

from optnas.search_spaces.checks import check_last

IDENTITY = "identity"
"""The operation of a block that does nothing but change the shape, if at all."""
SQUEEZE_EXCITATIONS = ("none", "expanded", "input")
"""No squeeze-and-excitation, or the channels of which it takes a quarter."""


@dataclass(frozen=True)
class MobileBlock:
    """An inverted residual, or the identity.

    Attributes:
        width: Output channels.
        kernel_size: That of the depthwise convolution.
        expansion: Channels of the depthwise convolution, as a multiple of the block's input
            channels; 0 is the identity.
        stride: That of the depthwise convolution.
        squeeze_excitation: `none`, `expanded` (a quarter of the expanded channels, as in
            MobileNetV3) or `input` (a quarter of the input channels, as in EfficientNet).
        activation: After the expansion and after the depthwise convolution.
    """

    width: int
    kernel_size: int = 3
    expansion: float = 6
    stride: int = 1
    squeeze_excitation: str = "none"
    activation: str = "relu"

    @classmethod
    def identity(cls, width: int, stride: int) -> MobileBlock:
        """The block that does nothing; a 1×1 convolution where the shape changes."""
        return cls(width, 1, 0, stride, activation="none")

    @property
    def is_identity(self) -> bool:
        """Whether this is no inverted residual."""
        return self.expansion == 0

    @property
    def operation(self) -> str:
        """`identity`, or expansion and kernel size, such as `mb6_k3`."""
        return IDENTITY if self.is_identity else f"mb{self.expansion:g}_k{self.kernel_size}"

    def expanded(self, channels: int) -> int:
        """Channels of the depthwise convolution, for a number of input channels."""
        return max(1, round(self.expansion * channels))

    @property
    def after(self) -> str:
        """Activation and squeeze-and-excitation in a word; empty for the identity."""
        squeeze = {"none": "", "expanded": "+se", "input": "+se_input"}[self.squeeze_excitation]
        return "" if self.is_identity else f"-{self.activation}{squeeze}"


@dataclass(frozen=True)
class MobileArchitecture:
    """A mobile network. Its string has the stem, each stage (`-` for an empty one), and the head.

    A stage begins with its width and stride, such as `24/2`. What all of its blocks have follows
    there, what only some have follows them: `24/2-relu mb6_k3 mb3_k5`.

    Attributes:
        stem_width: Output channels of the first convolution, which is 3×3.
        stem_stride: Its stride.
        activation: That of the stem and the head.
        stages: The blocks of each stage. Stages may be empty, but not the last one.
        head_width: Channels of the 1×1 convolution before the global average pooling; 0 for none.
        hidden_width: Features of the linear layer between pooling and classifier; 0 for none.
        resolution: Height and width to which images are resized first; None leaves them.

    Raises:
        ValueError: The last stage is empty.
    """

    stem_width: int
    stem_stride: int
    activation: str
    stages: tuple[tuple[MobileBlock, ...], ...]
    head_width: int = 0
    hidden_width: int = 0
    resolution: int | None = None

    def __post_init__(self) -> None:
        check_last(self.stages)

    def __str__(self) -> str:
        stride = f"/{self.stem_stride}" if self.stem_stride > 1 else ""
        resized = f"{self.resolution}px " if self.resolution is not None else ""
        parts = [f"{resized}stem{self.stem_width}{stride}-{self.activation}"]
        parts += [_text(blocks) for blocks in self.stages]
        ends = [f"head{self.head_width}"] if self.head_width else []
        ends += [f"hidden{self.hidden_width}"] if self.hidden_width else []
        return " | ".join(parts + [" ".join(ends)] * bool(ends))


def _text(blocks: tuple[MobileBlock, ...]) -> str:
    """A stage in words."""
    if not blocks:
        return "-"
    stride = f"/{blocks[0].stride}" if blocks[0].stride > 1 else ""
    shape = f"{blocks[0].width}{stride}"
    after = {block.after for block in blocks if not block.is_identity}
    if len(after) > 1:
        return " ".join([shape, *(f"{block.operation}{block.after}" for block in blocks)])
    return " ".join([shape + "".join(after), *(block.operation for block in blocks)])
