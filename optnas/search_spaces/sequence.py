"""Networks for sequences: LSTM, GRU and temporal convolutions, with lengths.

Sources: Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 1997; Cho et al.,
Learning phrase representations using RNN encoder-decoder, EMNLP 2014 (arXiv 1406.1078); Bai et al.,
An empirical evaluation of generic convolutional and recurrent networks for sequence modeling
(arXiv 1803.01271): residual blocks of two dilated convolutions, the dilation doubled from block to
block. What differs there: layer normalisation over the channels of each step in place of weight
normalisation, and convolutions may be centred instead of causal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace, random_example
from optnas.search_spaces.checks import (
    check_booleans,
    check_dropout,
    check_kernel_sizes,
    check_names,
    check_range,
    check_shape,
    check_sizes,
)
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.sequence_layers import POOLINGS, SequenceNetwork
from optnas.search_spaces.staged import choose, choose_depth, choose_dropout, choose_kernel
from optnas.utils.checks import check_counts
from optnas.utils.inputs import Inputs

KINDS = ("lstm", "gru", "tcn")


@dataclass(frozen=True)
class SequenceArchitecture:
    """A network for sequences.

    Attributes:
        kind: `lstm`, `gru` or `tcn`.
        depth: The number of layers, or of residual blocks.
        width: The size of the state in each direction, or the channels.
        pooling: `last` (the last valid step) or `mean` (of the valid steps).
        dropout: The dropout probability after each layer, and between a block's convolutions.
        bidirectional: Whether a recurrent layer reads both ways.
        kernel_size: That of the convolutions; 0 for recurrent layers.
        causal: Whether a convolution sees earlier steps alone.
        embedding_size: The size of a token's vector; 0 if steps are numbers.
    """

    kind: str
    depth: int
    width: int
    pooling: str
    dropout: float
    bidirectional: bool = False
    kernel_size: int = 0
    causal: bool = False
    embedding_size: int = 0

    def __str__(self) -> str:
        embedding = f"embedding{self.embedding_size} | " if self.embedding_size else ""
        way = " bidirectional" if self.bidirectional else ""
        if self.kind == "tcn":
            way = f" k{self.kernel_size} {'causal' if self.causal else 'centred'}"
        layers = f"{self.depth}×{self.kind} {self.width}{way} dropout={self.dropout:g}"
        return f"{embedding}{layers} | {self.pooling}"


@dataclass(frozen=True)
class SequenceSpace(SearchSpace[SequenceArchitecture], Encodable[SequenceArchitecture]):
    """LSTMs, GRUs and temporal convolutions for classes or numbers, one of a sequence.

    Steps are vectors of numbers, or tokens, whole numbers below `vocabulary`, which get vectors.
    With `lengths`, networks take the number of valid steps of each sequence, from 1: what lies
    behind it changes nothing. Counts of MACs are those of the full length, which is what runs:
    sequences aren't packed, so that networks can be exported.

    Parameters: `kind`, `pooling`, `dropout`, `embedding_size` (of tokens); of recurrent networks
    `rnn.depth`, `rnn.width`, `rnn.bidirectional`; of convolutions `tcn.depth`, `tcn.width`,
    `tcn.kernel_size`, `tcn.causal`. A setting with one value is no parameter. Blocks whose dilation
    is the length or more, and kernels that reach beyond it from any step in the first block, are no
    choices. In later blocks the outer weights of a kernel may see padding alone; they count as
    parameters and MACs all the same.

    Example:
        ```python
        import torch

        import optnas

        space = optnas.SequenceSpace((20, 3), outputs=4, lengths=True, kinds=("gru", "tcn"))
        network = space.build(optnas.search_spaces.SequenceArchitecture("gru", 2, 16, "last", 0.1))
        network(torch.randn(2, 20, 3), torch.tensor([20, 7]))
        ```

    Attributes:
        input_shape: `(length, features)` of numbers, or `(length,)` of tokens.
        outputs: The number of classes, or of regression targets.
        vocabulary: The number of different tokens; None if steps are numbers.
        lengths: Whether networks take lengths `(batch,)` as a second input.
        kinds: The choices for the layers: `lstm`, `gru` and `tcn`.
        depth: The least and greatest number of recurrent layers.
        widths: The choices for the size of the state in each direction.
        bidirectionals: The choices for whether recurrent layers read both ways.
        tcn_depth: The least and greatest number of residual blocks of convolutions.
        tcn_widths: The choices for their channels.
        kernel_sizes: The choices for their kernel size: odd, in steps of 2.
        causals: The choices for whether they see earlier steps alone.
        embedding_sizes: The choices for the size of a token's vector.
        poolings: The choices for what the head sees: `last` or `mean`.
        dropout: The least and greatest dropout probability.
        dropout_step: The step between two dropout probabilities.

    Raises:
        ValueError: A setting is out of range.
    """

    input_shape: tuple[int, ...]
    outputs: int
    vocabulary: int | None = None
    lengths: bool = False
    kinds: tuple[str, ...] = KINDS
    depth: tuple[int, int] = (1, 3)
    widths: tuple[int, ...] = (8, 16, 32, 64)
    bidirectionals: tuple[bool, ...] = (False, True)
    tcn_depth: tuple[int, int] = (1, 5)
    tcn_widths: tuple[int, ...] = (8, 16, 32, 64)
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    causals: tuple[bool, ...] = (False, True)
    embedding_sizes: tuple[int, ...] = (8, 16, 32)
    poolings: tuple[str, ...] = POOLINGS
    dropout: tuple[float, float] = (0.0, 0.5)
    dropout_step: float = 0.1

    def __post_init__(self) -> None:
        tokens = self.vocabulary is not None
        check_shape("input_shape", self.input_shape)
        if len(self.input_shape) != (1 if tokens else 2) or self.input_shape[0] < 2:
            raise ValueError(
                "input_shape must be (length, features), or with a vocabulary (length,), with a "
                f"length of at least 2; got {self.input_shape} with vocabulary={self.vocabulary}"
            )
        if self.vocabulary is not None:
            check_counts(vocabulary=self.vocabulary)
            check_sizes("embedding_sizes", self.embedding_sizes)
        check_counts(outputs=self.outputs)
        check_names("kinds", self.kinds, KINDS)
        check_names("poolings", self.poolings, POOLINGS)
        check_range("depth", self.depth, 1)
        check_range("tcn_depth", self.tcn_depth, 1)
        check_sizes("widths", self.widths)
        check_sizes("tcn_widths", self.tcn_widths)
        check_kernel_sizes(self.kernel_sizes)
        check_dropout(self.dropout, self.dropout_step)
        for name in ("bidirectionals", "causals"):
            check_booleans(name, getattr(self, name))
        if "tcn" in self.kinds and self.tcn_depth[0] > self._useful_depth:
            raise ValueError(
                f"tcn_depth begins at {self.tcn_depth[0]}, and for sequences of "
                f"{self.input_shape[0]} steps at most {self._useful_depth} blocks have dilations "
                "that stay inside: begin lower, or leave tcn out of kinds"
            )

    @property
    def example_inputs(self) -> Inputs:
        """One sequence `(1, length, features)`, or tokens `(1, length)`.

        With `lengths`, a dictionary of `x` and `lengths`, which is `(1,)`.
        """
        x: Tensor
        if self.vocabulary is None:
            x = random_example(*self.input_shape)
        else:
            x = torch.arange(self.input_shape[0])[None] % self.vocabulary
        return {"x": x, "lengths": torch.tensor([self.input_shape[0]])} if self.lengths else x

    @property
    def _useful_depth(self) -> int:
        """The number of blocks whose dilation 1, 2, 4, … is below the length."""
        return (self.input_shape[0] - 1).bit_length()

    def suggest(self, trial: BaseTrial) -> SequenceArchitecture:
        """Draws what all networks have, then the layers of a kind."""
        kind = choose(trial, "kind", self.kinds)
        pooling = choose(trial, "pooling", self.poolings)
        dropout = choose_dropout(trial, "dropout", self.dropout, self.dropout_step)
        size = 0
        if self.vocabulary is not None:
            size = choose(trial, "embedding_size", self.embedding_sizes)
        if kind == "tcn":
            low, high = self.tcn_depth
            depth = choose_depth(trial, "tcn.depth", low, min(high, self._useful_depth))
            width = choose(trial, "tcn.width", self.tcn_widths)
            causal = choose(trial, "tcn.causal", self.causals)
            # A centred kernel of 2·length - 1 reaches the whole sequence, a causal one of length.
            reach = (self.input_shape[0] + 1) // 2 if causal else self.input_shape[0]
            line = (1, reach)
            kernel_size = choose_kernel(trial, "tcn.kernel_size", self.kernel_sizes, line)
            if kernel_size == 1:  # it sees one step alone, so both are the same network
                causal = any(self.causals)
            return SequenceArchitecture(
                kind, depth, width, pooling, dropout, False, kernel_size, causal, size
            )
        depth = choose_depth(trial, "rnn.depth", *self.depth)
        width = choose(trial, "rnn.width", self.widths)
        both = choose(trial, "rnn.bidirectional", self.bidirectionals)
        return SequenceArchitecture(kind, depth, width, pooling, dropout, both, embedding_size=size)

    def build(self, architecture: SequenceArchitecture) -> nn.Module:
        """Makes the network.

        Its layers are called `embedding`, `layer1.forwards` and `layer1.backwards` (recurrent),
        `block1.first`, `.second` and `.shortcut` (convolutions; `causal_block1` of causal ones), …,
        and `head`.
        """
        features = self.input_shape[1] if self.vocabulary is None else architecture.embedding_size
        return SequenceNetwork(
            architecture.kind,
            features,
            self.outputs,
            vocabulary=self.vocabulary,
            depth=architecture.depth,
            width=architecture.width,
            pooling=architecture.pooling,
            dropout=architecture.dropout,
            bidirectional=architecture.bidirectional,
            kernel_size=architecture.kernel_size,
            causal=architecture.causal,
        )

    def params_of(self, architecture: SequenceArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, _settings)


def _settings(architecture: SequenceArchitecture) -> dict[str, Any]:
    """The settings by parameter name."""
    shared = ("kind", "pooling", "dropout", "embedding_size")
    names = {"tcn": ("kernel_size", "causal")}.get(architecture.kind, ("bidirectional",))
    prefix = "tcn" if architecture.kind == "tcn" else "rnn"
    own = {f"{prefix}.{name}": getattr(architecture, name) for name in ("depth", "width", *names)}
    return {name: getattr(architecture, name) for name in shared} | own
