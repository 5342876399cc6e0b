"""Vision transformers.

Sources: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021 (arXiv 2010.11929); Touvron et
al., Training data-efficient image transformers (DeiT), ICML 2021 (arXiv 2012.12877); Chen et al.,
AutoFormer: searching transformers for visual recognition, ICCV 2021 (arXiv 2107.00651, table 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace, random_example
from optnas.search_spaces.checks import check_image_shape, check_names, check_sizes
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.staged import IMAGENET, Shape, choose
from optnas.search_spaces.transformer.layer import (
    LayerChoices,
    TransformerLayer,
    check_head_width,
    check_hidden,
)
from optnas.search_spaces.transformer.vit_architecture import POOLS, ViTArchitecture, vit_network
from optnas.utils.checks import check_counts

FEWEST_PATCHES, MOST_PATCHES = 16, 64
"""Of a small image: fewer tell little of places, more take long."""


@dataclass(frozen=True)
class ViTSpace(SearchSpace[ViTArchitecture], Encodable[ViTArchitecture]):
    """Vision transformers: patches of an image, layers of attention and perceptrons, a classifier.

    Positions are learned, normalisation comes before attention and perceptron, the activation is
    GELU, and there is no dropout. Each head has the same number of features in all networks, as in
    AutoFormer, so that networks share weights by slices.

    Class methods make spaces: `small` for small images, `autoformer_tiny`, `autoformer_small` and
    `autoformer_base` with the ranges of the paper. `vit_tiny`, `vit_small` and `vit_base` give
    architectures, which `build` of any space makes.

    Parameters: `patch_size`, `embedding`, `pool`, `depth`, `layer1.heads`, `layer1.mlp_ratio`, ….
    A setting with one value is no parameter.

    Example:
        ```python
        import optnas

        space = optnas.ViTSpace.small((3, 32, 32), 10)
        published = optnas.ViTSpace.autoformer_tiny()
        params = published.params_of(optnas.ViTSpace.vit_tiny())
        ```

    Attributes:
        input_shape: `(channels, height, width)` of one image.
        outputs: The number of classes.
        patch_sizes: The choices for height and width of a patch; each divides those of the image.
        embeddings: The choices for the features of a patch.
        depth: The least and greatest number of layers.
        heads: The choices for the attention heads of each layer.
        mlp_ratios: The choices for the hidden features of each layer's perceptron, as a multiple of
            the embedding.
        pools: The choices for what is classified: `class` (a class token) or `mean` (of all
            patches).
        head_width: Features of each head.

    Raises:
        ValueError: A setting is out of range, or a patch size doesn't divide the image.
    """

    input_shape: Shape
    outputs: int
    patch_sizes: tuple[int, ...] = (16,)
    embeddings: tuple[int, ...] = (192,)
    depth: tuple[int, int] = (12, 12)
    heads: tuple[int, ...] = (3,)
    mlp_ratios: tuple[float, ...] = (4,)
    pools: tuple[str, ...] = ("class",)
    head_width: int = 64

    def __post_init__(self) -> None:
        check_image_shape(self.input_shape)
        check_counts(outputs=self.outputs)
        check_sizes("patch_sizes", self.patch_sizes)
        height, width = self.input_shape[1:]
        for size in self.patch_sizes:
            if height % size or width % size:
                raise ValueError(
                    f"patch_sizes must divide height and width of the images, {height} × {width}, "
                    f"and {size} doesn't: give other ones, or pad the images"
                )
        check_sizes("embeddings", self.embeddings)
        check_names("pools", self.pools, POOLS)
        check_head_width(self.head_width)
        check_hidden(self._layers.mlp_ratios, self.embeddings)

    @property
    def _layers(self) -> LayerChoices:
        return LayerChoices(self.depth, self.heads, self.mlp_ratios)

    @property
    def example_inputs(self) -> Tensor:
        """A tensor of shape `(1, channels, height, width)`."""
        return random_example(*self.input_shape)

    def suggest(self, trial: BaseTrial) -> ViTArchitecture:
        """Draws what concerns the whole network, then each layer."""
        return ViTArchitecture(
            choose(trial, "patch_size", self.patch_sizes),
            choose(trial, "embedding", self.embeddings),
            pool=choose(trial, "pool", self.pools),
            layers=self._layers.suggest(trial),
            head_width=self.head_width,
        )

    def build(self, architecture: ViTArchitecture) -> nn.Module:
        """Makes the network: images `(batch, channels, height, width)` to `(batch, outputs)`.

        Its layers are called `patch16`, `layer1.attention.query`, `.key`, `.value` and `.out`,
        `layer1.mlp.up` and `.down`, …, `norm`, `pool` and `classifier`.
        """
        return vit_network(architecture, self.input_shape, self.outputs)

    def params_of(self, architecture: ViTArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, lambda given: given.settings)

    @classmethod
    def small(
        cls, input_shape: Shape, outputs: int, *, patch_sizes: tuple[int, ...] = ()
    ) -> ViTSpace:
        """Networks of up to six narrow layers for images of 8 to 64 pixels.

        Heads have 16 features each.

        Args:
            input_shape: See the class.
            outputs: See the class.
            patch_sizes: See the class; by default those that cut an image into 16 to 64 patches.

        Raises:
            ValueError: No patch size fits.
        """
        check_image_shape(input_shape)
        height, width = input_shape[1:]
        fitting = patch_sizes or tuple(
            size
            for size in range(1, min(height, width) + 1)
            if height % size == width % size == 0
            and FEWEST_PATCHES <= (height // size) * (width // size) <= MOST_PATCHES
        )
        if not fitting:
            raise ValueError(
                f"no patch size cuts images of {height} × {width} pixels into {FEWEST_PATCHES} to "
                f"{MOST_PATCHES} patches: give patch_sizes=, or pad the images"
            )
        return cls(
            input_shape,
            outputs,
            fitting,
            embeddings=(32, 48, 64, 96),
            depth=(2, 6),
            heads=(2, 3, 4),
            mlp_ratios=(2, 3, 4),
            pools=("class", "mean"),
            head_width=16,
        )

    @classmethod
    def autoformer_tiny(
        cls, input_shape: Shape = IMAGENET, outputs: int = 1000, *, patch_size: int = 16
    ) -> ViTSpace:
        """AutoFormer-tiny: embedding 192 to 240, depth 12 to 14, heads 3 and 4, MLP 3.5 and 4.

        The paper's networks have relative positions in addition.
        """
        return cls(
            input_shape,
            outputs,
            (patch_size,),
            embeddings=(192, 216, 240),
            depth=(12, 14),
            heads=(3, 4),
            mlp_ratios=(3.5, 4),
        )

    @classmethod
    def autoformer_small(
        cls, input_shape: Shape = IMAGENET, outputs: int = 1000, *, patch_size: int = 16
    ) -> ViTSpace:
        """AutoFormer-small: embedding 320 to 448, depth 12 to 14, heads 5 to 7, MLP 3 to 4."""
        return cls(
            input_shape,
            outputs,
            (patch_size,),
            embeddings=(320, 384, 448),
            depth=(12, 14),
            heads=(5, 6, 7),
            mlp_ratios=(3, 3.5, 4),
        )

    @classmethod
    def autoformer_base(
        cls, input_shape: Shape = IMAGENET, outputs: int = 1000, *, patch_size: int = 16
    ) -> ViTSpace:
        """AutoFormer-base: embedding 528 to 624, depth 14 to 16, heads 8 to 10, MLP 3 to 4."""
        return cls(
            input_shape,
            outputs,
            (patch_size,),
            embeddings=(528, 576, 624),
            depth=(14, 16),
            heads=(8, 9, 10),
            mlp_ratios=(3, 3.5, 4),
        )

    @staticmethod
    def vit_tiny(*, patch_size: int = 16, pool: str = "class") -> ViTArchitecture:
        """ViT-Tiny, as in DeiT: 12 layers of 3 heads, 192 features."""
        return ViTArchitecture(patch_size, 192, (TransformerLayer(3),) * 12, pool)

    @staticmethod
    def vit_small(*, patch_size: int = 16, pool: str = "class") -> ViTArchitecture:
        """ViT-Small, as in DeiT: 12 layers of 6 heads, 384 features."""
        return ViTArchitecture(patch_size, 384, (TransformerLayer(6),) * 12, pool)

    @staticmethod
    def vit_base(*, patch_size: int = 16, pool: str = "class") -> ViTArchitecture:
        """ViT-Base: 12 layers of 12 heads, 768 features."""
        return ViTArchitecture(patch_size, 768, (TransformerLayer(12),) * 12, pool)
