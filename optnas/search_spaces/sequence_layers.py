"""The layers of networks for sequences; `sequence.py` names their sources.

Sequences are padded, not packed: a packed sequence can't be exported with a dynamic batch. The
steps behind a length are set to 0 where a layer could see them, and a layer that reads backwards
begins at the last valid step, because its input is turned around within each length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from optnas.errors import InputError
from optnas.search_spaces.base import dropout_layer
from optnas.utils.checks_inputs import ChecksInputs, check_tokens

POOLINGS = ("last", "mean")
_RECURRENT: dict[str, type[nn.LSTM | nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


def check_lengths(x: Tensor, lengths: Tensor) -> None:
    """Raises InputError unless there is a number of valid steps for each sequence."""
    if lengths.is_floating_point() or lengths.shape != x.shape[:1]:
        raise InputError(
            f"lengths must be whole numbers of shape {tuple(x.shape[:1])}, one a sequence, got "
            f"{lengths.dtype} of shape {tuple(lengths.shape)}"
            + (": give lengths.long()" if lengths.is_floating_point() else "")
        )
    lengths = lengths.long()
    wrong = lengths[(lengths < 1) | (lengths > x.shape[1])]
    if wrong.numel():
        raise InputError(
            f"lengths must be from 1 to {x.shape[1]}, the number of steps, got {int(wrong[0])} "
            f"({wrong.numel()} of {len(lengths)} are out of range): leave empty sequences out, "
            "and cut longer ones"
        )


class Steps:
    """Which steps of a batch are valid.

    Args:
        x: Shape `(batch, length, …)`.
        lengths: Valid steps of each sequence, shape `(batch,)`; None for all. Those below 1 or
            above the length are taken as 1 or the length.
    """

    def __init__(self, x: Tensor, lengths: Tensor | None) -> None:
        self.number = x.shape[1]
        steps = torch.arange(self.number, device=x.device)
        self.valid: Tensor | None = None
        self.turned = steps.flip(0)[None]
        if lengths is not None:
            # Some operations take no small whole numbers, such as uint8.
            self.lengths = lengths.long().clamp(1, self.number)[:, None]
            self.valid = steps < self.lengths
            self.turned = torch.where(self.valid, self.lengths - 1 - steps, steps)

    def masked(self, x: Tensor) -> Tensor:
        """The valid steps of `(batch, length, …)`; the others are 0."""
        if self.valid is None:
            return x
        return x.masked_fill(~(self.valid if x.ndim == 2 else self.valid[:, :, None]), 0)

    def turn(self, x: Tensor) -> Tensor:
        """The valid steps of `(batch, length, width)` in reverse order; the others stay."""
        if self.valid is None:
            return x.flip(1)
        return x.gather(1, self.turned[:, :, None].expand(-1, -1, x.shape[2]))

    def last(self, x: Tensor) -> Tensor:
        """The last valid step of `(batch, length, width)`: `(batch, width)`."""
        if self.valid is None:
            return x[:, -1]
        return x.gather(1, (self.lengths - 1)[:, :, None].expand(-1, -1, x.shape[2]))[:, 0]

    def mean(self, x: Tensor) -> Tensor:
        """The mean of the valid steps of `(batch, length, width)`: `(batch, width)`."""
        if self.valid is None:
            return x.mean(1)
        return self.masked(x).sum(1) / self.lengths


def alternating(first: Tensor, second: Tensor) -> Tensor:
    """Two tensors of one shape `(…, width)` in turns: `(…, 2 · width)`."""
    return torch.stack((first, second), -1).flatten(-2)


class RecurrentLayer(nn.Module):
    """An LSTM or a GRU of one layer, and a second one that reads backwards.

    Their numbers alternate in the output. So a narrower network uses the first columns of the next
    layer's weights, as shared weights need it.
    """

    def __init__(self, kind: str, features: int, width: int, bidirectional: bool) -> None:
        super().__init__()
        make = _RECURRENT[kind]
        self.forwards = make(features, width, batch_first=True)
        self.backwards = make(features, width, batch_first=True) if bidirectional else None

    def forward(self, x: Tensor, steps: Steps) -> Tensor:
        """Shape `(batch, length, features)` to `(batch, length, width, or twice the width)`."""
        y: Tensor = self.forwards(x)[0]
        if self.backwards is None:
            return y
        return alternating(y, steps.turn(self.backwards(steps.turn(x))[0]))


class DilatedConv(nn.Module):
    """A dilated convolution over steps that keeps their number, then layer norm and ReLU."""

    def __init__(
        self, channels: int, width: int, kernel_size: int, dilation: int, causal: bool
    ) -> None:
        super().__init__()
        reach = (kernel_size - 1) * dilation
        self.padding = (reach, 0) if causal else (reach // 2, reach // 2)
        self.conv = nn.Conv1d(channels, width, kernel_size, dilation=dilation)
        self.norm = nn.LayerNorm(width)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor, steps: Steps) -> Tensor:
        """Shape `(batch, length, channels)` to `(batch, length, width)`."""
        y: Tensor = self.conv(functional.pad(steps.masked(x).transpose(1, 2), self.padding))
        found: Tensor = self.activation(self.norm(y.transpose(1, 2)))
        return found


class TemporalBlock(nn.Module):
    """Two dilated convolutions and a shortcut: a linear layer where the width changes."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernel_size: int,
        dilation: int,
        causal: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.first = DilatedConv(channels, width, kernel_size, dilation, causal)
        self.dropout = dropout_layer(dropout)
        self.second = DilatedConv(width, width, kernel_size, dilation, causal)
        self.shortcut = nn.Linear(channels, width) if channels != width else nn.Identity()
        self.activation = nn.ReLU()

    def forward(self, x: Tensor, steps: Steps) -> Tensor:
        """Shape `(batch, length, channels)` to `(batch, length, width)`."""
        y = self.second(self.dropout(self.first(x, steps)), steps)
        found: Tensor = self.activation(y + self.shortcut(x))
        return found


class SequenceNetwork(nn.Module, ChecksInputs):
    """The whole network; its arguments are the settings of the space and the architecture."""

    def __init__(
        self,
        kind: str,
        features: int,
        outputs: int,
        *,
        vocabulary: int | None,
        depth: int,
        width: int,
        pooling: str,
        dropout: float,
        bidirectional: bool,
        kernel_size: int,
        causal: bool,
    ) -> None:
        super().__init__()
        self.depth, self.pooling = depth, pooling
        self.bidirectional = bidirectional
        # A causal kernel isn't the middle of a centred one, so they share no weights.
        blocks = "causal_block" if causal else "block"
        self.layers_name = blocks if kind == "tcn" else "layer"
        self.embedding = nn.Embedding(vocabulary, features) if vocabulary else None
        for i in range(1, depth + 1):
            if kind == "tcn":
                dilation = 2 ** (i - 1)
                layer: nn.Module = TemporalBlock(
                    features, width, kernel_size, dilation, causal, dropout
                )
                features = width
            else:
                layer = RecurrentLayer(kind, features, width, bidirectional)
                features = width * (2 if bidirectional else 1)
            self.add_module(f"{self.layers_name}{i}", layer)
        self.dropout = dropout_layer(dropout)
        self.head = nn.Linear(features, outputs)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Sequences `(batch, length, features)`, or tokens, and lengths, to `(batch, outputs)`."""
        steps = Steps(x, lengths)
        x = steps.masked(x)
        if self.embedding is not None:
            x = self.embedding(x)
        for i in range(1, self.depth + 1):
            x = self.dropout(self.get_submodule(f"{self.layers_name}{i}")(x, steps))
        y: Tensor = self.head(self._pooled(x, steps))
        return y

    def check_inputs(self, x: Tensor, lengths: Tensor | None = None) -> None:
        """See `ChecksInputs`."""
        if lengths is not None:
            check_lengths(x, lengths)
            x = Steps(x, lengths).masked(x)
        if self.embedding is not None:
            check_tokens(self.embedding, x)

    def _pooled(self, x: Tensor, steps: Steps) -> Tensor:
        if self.pooling == "mean":
            return steps.mean(x)
        if not self.bidirectional:
            return steps.last(x)
        # What a backward layer has read last is the first step.
        return alternating(steps.last(x[:, :, ::2]), x[:, 0, 1::2])
