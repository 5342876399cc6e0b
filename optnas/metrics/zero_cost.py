"""Zero-cost proxies: numbers of an untrained network that correlate with its trained accuracy.

Each takes one or two passes through the network with its initial weights. None estimates a loss:
they rank architectures, and they are features for a model that has seen losses.

Sources: synflow: Tanaka et al., Pruning neural networks without any data by iteratively conserving
synaptic flow, NeurIPS 2020 (arXiv 2006.05467), equation 2. naswot: Mellor et al., Neural
architecture search without training, ICML 2021 (arXiv 2006.04647), equation 2. grad_norm:
Abdelfattah et al., Zero-cost proxies for lightweight NAS, ICLR 2021 (arXiv 2101.08134). snip: Lee,
Ajanthan and Torr, SNIP: Single-shot network pruning based on connection sensitivity, ICLR 2019
(arXiv 1810.02340), summed over the weights as Abdelfattah et al. do. expressivity, progressivity
and trainability: Lee and Ham, AZ-NAS, CVPR 2024 (arXiv 2403.19232), see `optnas.metrics.az_nas`.
live_params is our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset
from optnas.datasets.losses import standard_loss
from optnas.errors import CandidateError, InputError
from optnas.metrics.az_nas import expressivity, progressivity, trainability
from optnas.metrics.base import Metric, check_counts, labelled
from optnas.metrics.blocks import block_outputs
from optnas.metrics.untrained import (
    RECTIFIERS,
    activation_agreement,
    first_output,
    gradients,
    noise,
    norms,
    random_readout,
    saliency,
    synaptic_flow,
)
from optnas.utils.inputs import Inputs, call, in_order, map_inputs, shapes_of
from optnas.utils.random_state import seeded

Proxy = Literal[
    "synflow", "naswot", "grad_norm", "snip", "expressivity", "progressivity", "trainability"
]
BATCH, LEAST_BATCH = 8, 2
"""Examples of noise for the predictor's naswot and grad_norm, up to `POSITIONS` each; of larger
ones fewer, but no fewer than the second number."""
POSITIONS = 32 * 32
"""Positions of an image or a sequence."""
OF_BLOCKS: dict[str, Callable[[Sequence[Tensor]], float]] = {
    "expressivity": expressivity,
    "progressivity": progressivity,
    "trainability": trainability,
}
"""The proxies of the outputs of a network's blocks."""
UNABLE = (RuntimeError, ValueError, TypeError)
"""The errors that PyTorch raises where a network has no such gradient."""


@dataclass(frozen=True)
class ZeroCost(Metric):
    """A zero-cost proxy: a number of the untrained network; larger is better.

    The initial weights are drawn with the same seed for every trial. Four proxies are the natural
    logarithms of one of these:

    - `synflow`: Σ|θ · ∂R/∂θ|, where R is the sum of the outputs for inputs of ones, weights are
      replaced by their absolute values, and normalisation has no effect. It needs no data.
    - `naswot`: |det K|, where K counts, for each pair of examples of a batch, the activations in
      which both are on the same side of 0. It sees only activation modules (`nn.ReLU`, not
      `torch.relu`).
    - `grad_norm`: the sum of the Euclidean norms of the gradients of the loss, over the parameters.
    - `snip`: Σ|θ · ∂L/∂θ|, where L is the loss.

    Three look at the outputs of the network's blocks (`optnas.metrics.blocks` says which these are)
    for a batch, and have no unit but that of entropy, the nat. They rank networks best together:
    sum the logarithms of a network's ranks in each, and in parameters.

    - `expressivity`: Σ s_l, where s_l is the entropy of the normalised eigenvalues of the
      covariance of block l's channels.
    - `progressivity`: the smallest s_l - s_{l-1}; it may be negative.
    - `trainability`: the mean of 2 - σ_l - 1/σ_l, where σ_l is the spectral norm with which
      gradients pass block l; 0 at best.

    A network without such a number (the logarithm of 0, an overflow, no gradient) fails its trial.
    The file's docstring names the papers.

    Attributes:
        proxy: Name of the proxy.
        data: The dataset from whose training part the batch is drawn; always the same batch, with
            the task's standard loss. Without data, the batch is noise, and a random linear function
            of the outputs replaces the loss.
        batch_size: Examples in the batch; not used by synflow. naswot needs at least about as many
            activations as examples. The three of blocks need more examples, times positions of an
            image or a sequence, than channels: for a network of linear layers, several times the
            width of the widest.
        label: Tells several metrics with the same proxy apart: `naswot.LABEL`.

    Raises:
        ValueError: The proxy is unknown, the batch is empty, or synflow was given data.
        TypeError: `data` is no Dataset.
    """

    proxy: Proxy
    data: Dataset | None = field(default=None, repr=False)
    batch_size: int = 16
    label: str = ""
    direction = "maximize"
    tolerance = 1e-3

    def __post_init__(self) -> None:
        if self.proxy not in get_args(Proxy):
            raise ValueError(
                f"proxy must be one of {', '.join(get_args(Proxy))}, got {self.proxy!r}"
            )
        check_counts(batch_size=self.batch_size)
        if self.data is None:
            return
        if not isinstance(self.data, Dataset):
            raise TypeError(
                "data must be a Dataset (optnas.arrays(x, y)), or left out for noise, got "
                f"{type(self.data).__name__}"
            )
        if self.proxy == "synflow":
            raise ValueError("synflow looks at no data: leave data out")

    @property
    def name(self) -> str:
        """The proxy's name, with the label if there is one."""
        return labelled(self.proxy, self.label)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The data and the number of examples, if the proxy uses any."""
        if self.proxy == "synflow":
            return {}
        data = "noise" if self.data is None else self.data.fingerprint
        return {"data": data, "batch_size": self.batch_size}

    def measure(self, candidate: Candidate) -> float:
        """Runs an untrained network of the candidate's architecture, forward and backward.

        Raises:
            CandidateError: This network has no such number.
            InputError: The data doesn't fit the network.
        """
        model = candidate.untrained()
        try:
            with seeded(1):  # another seed than the weights'
                value = self._value(model, candidate.example_inputs)
        except InputError:
            raise
        except UNABLE as error:
            raise CandidateError(
                f"{self.name} can't be computed for this network: {error} (if it runs otherwise, "
                f"leave {self.name} out)"
            ) from error
        if not math.isfinite(value):
            raise CandidateError(f"{self.name} is {value}: {WHY_NOT[self.proxy]}")
        return value

    def _value(self, model: nn.Module, example_inputs: Inputs) -> float:
        if self.proxy == "synflow":
            return _log(saliency(synaptic_flow(model, example_inputs)))
        inputs, loss = self._batch(example_inputs)
        model.train()
        examples = next((len(tensor) for tensor in in_order(inputs) if tensor.ndim), 1)
        if self.proxy in OF_BLOCKS:
            return OF_BLOCKS[self.proxy](block_outputs(model, inputs, examples))
        if self.proxy == "naswot":
            with torch.no_grad(), activation_agreement(model, examples) as counts:
                call(model, inputs)
            return _log_determinant(counts)
        found = gradients(model, loss(first_output(call(model, inputs))))
        return _log(norms(found) if self.proxy == "grad_norm" else saliency(found))

    def _batch(self, example_inputs: Inputs) -> tuple[Inputs, Callable[[Tensor], Tensor]]:
        """A batch of inputs, and the loss as a function of the outputs."""
        if self.data is None:
            inputs = map_inputs(noise(self.batch_size), example_inputs)
            return inputs, partial(random_readout, examples=self.batch_size)
        x, y = self.data.train
        given, taken = map(shapes_of, (self.data.example_inputs, example_inputs))
        if given != taken:
            raise InputError(
                f"{self.name}: the network takes inputs of shape {taken}, one example of "
                f"{self.data.name} with its batch dimension has {given}: give ZeroCost the data "
                "that the networks are for"
            )
        chosen = torch.randperm(len(y))[: self.batch_size]
        loss = standard_loss(self.data)
        return map_inputs(lambda t: t[chosen], x), lambda outputs: loss(outputs, y[chosen])


PROXIES: tuple[Proxy, ...] = get_args(Proxy)
CONSTANT = "the output of a block is constant"
NO_GRADIENT = "no gradient reaches its weights, or the gradients overflow"
WHY_NOT: dict[Proxy, str] = {
    "synflow": "nothing flows from its inputs through its weights to its outputs, or it overflows",
    "naswot": "its activations don't tell the examples apart, or aren't modules; take nn.ReLU "
    "for torch.relu, or a smaller batch_size for ZeroCost",
    "grad_norm": NO_GRADIENT,
    "snip": NO_GRADIENT,
    "expressivity": f"it has no block before its last one, or {CONSTANT}",
    "progressivity": f"it has fewer than two blocks before its last one, or {CONSTANT}",
    "trainability": "no gradient leads from a block to the one before it, or it is 0",
}


def _log(value: float) -> float:
    return math.log(value) if value else -math.inf


def _log_determinant(counts: Tensor) -> float:
    """Logarithm of |det| of a whole-number matrix; -inf if singular, which rounding would hide."""
    if int(torch.linalg.matrix_rank(counts, hermitian=True)) < len(counts):
        return -math.inf
    return float(torch.linalg.slogdet(counts).logabsdet)


PREDICTOR_PROXIES = ("synflow", "live_params", "naswot", "grad_norm")
"""The names of what `zero_cost` computes, in order."""


def zero_cost(candidate: Candidate) -> dict[str, float]:
    """The predictor's features of a candidate: proxies of its model on the CPU, from noise.

    `synflow`, `naswot` and `grad_norm` are computed as in `ZeroCost`, with a batch of 8 (of fewer,
    down to 2, if an example is larger than 32×32 positions, so that large images don't take
    minutes) and, for naswot, only rectifiers. `live_params` is the number of parameters in tensors
    with a non-zero gradient in synflow; parameters in a branch that reaches no output, or no input,
    aren't counted.

    Returns:
        The values by name. A value is NaN where it can't be computed for this network: a recurrent
        layer or an integer input may have no such gradient, and a network without activation
        modules has no naswot.
    """
    model, inputs = candidate.to_measure(), candidate.example_inputs
    with seeded(1):  # another seed than the weights'
        noisy = _noisy(model.train(), inputs)
        return _flow(model, inputs) | noisy


def _flow(model: nn.Module, inputs: Inputs) -> dict[str, float]:
    try:
        found = [(p, g) for p, g in synaptic_flow(model, inputs) if g.any()]
    except UNABLE:
        return {"synflow": math.nan, "live_params": math.nan}
    live = sum(parameter.numel() for parameter, _ in found)
    return {"synflow": _or_nan(_log(saliency(found))), "live_params": float(live)}


def _noisy(model: nn.Module, inputs: Inputs) -> dict[str, float]:
    """Naswot and grad_norm, from one forward and one backward pass of a batch of noise."""
    positions = max([1, *(math.prod(tensor.shape[2:]) for tensor in in_order(inputs))])
    examples = min(BATCH, max(LEAST_BATCH, BATCH * POSITIONS // positions))
    try:
        batch = map_inputs(noise(examples), inputs)
        with activation_agreement(model, examples, RECTIFIERS) as counts:
            outputs = first_output(call(model, batch))
        found = gradients(model, random_readout(outputs, examples))
    except UNABLE:
        return {"naswot": math.nan, "grad_norm": math.nan}
    naswot = float(torch.linalg.slogdet(counts).logabsdet)
    return {"naswot": _or_nan(naswot), "grad_norm": _or_nan(_log(norms(found)))}


def _or_nan(value: float) -> float:
    return value if math.isfinite(value) else math.nan
