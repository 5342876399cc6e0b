"""The meaning of the names that optnas uses, for readers who have never seen it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.study.describe import measurement_of
from optnas.study.recipe_text import shown_settings
from optnas.study.record import record_of
from optnas.utils.text import MACS

_SHORT = {
    "params": "numbers in the weights of the network",
    "trainable_params": "numbers that are trained, without the frozen ones",
    "model_size_mb": "size of the weights, in megabytes",
    "model_size_mb.int8": "size of the file with 8-bit integers, in megabytes",
    "macs": "multiply-accumulates for the example inputs",
    "flops": "arithmetic operations for the example inputs",
    "peak_memory_mb": "most memory in use during one inference, in megabytes",
    "peak_activation_mb": "most memory for activations during one inference, in megabytes",
    "peak_activation_kib": "RAM for the tensors of the 8-bit network, in units of 1024 bytes",
    "flash_kib": "flash for the weights of the 8-bit network, in units of 1024 bytes",
    "cuda_peak_memory_mb": "most memory that the GPU allocates in one inference, in megabytes",
    "latency_ms": "median time of one inference, in milliseconds",
    "throughput": "examples in a second",
    "energy_j": "energy that the device takes for one inference, in joules",
    "synflow": "how much flows through the untrained network; promises a lower loss",
    "naswot": "how well the untrained network tells examples apart; promises a lower loss",
    "grad_norm": "how large the untrained network's gradients are; promises a lower loss",
    "snip": "how much the loss depends on the untrained weights; promises a lower loss",
    "expressivity": "how evenly the blocks of the untrained network use their channels; promises a "
    "lower loss",
    "progressivity": "the least that a block of the untrained network adds to the expressivity of "
    "the one before it; promises a lower loss",
    "trainability": "how well gradients keep their size in the untrained network, 0 at best; "
    "promises a lower loss",
}
_LONG = {
    "params": "Elements of all parameters; tied ones count once, buffers don't count.",
    "trainable_params": "Elements of the parameters that are trained: frozen ones don't count, "
    "tied ones count once.",
    "model_size_mb": "Bytes of all parameters and buffers, in 10⁶ bytes; tied ones count once.",
    "model_size_mb.int8": "Size of the ONNX file with 8-bit weights and activations, as an "
    "export to `onnx-int8` writes it, without the study's facts that it adds; in 10⁶ bytes.",
    "macs": f"{MACS[0].upper()}{MACS[1:]}. Counted, not estimated.",
    "flops": f"2 · macs. macs = {MACS}. Counted, not estimated.",
    "peak_memory_mb": "Most memory that tensors hold during one inference of one example, weights "
    "included, as the model's Python code keeps them, in 10⁶ bytes. Memory that a kernel "
    "allocates for itself isn't counted.",
    "peak_activation_mb": "The same without the weights, and with each tensor counted from the "
    "operation that makes it to the last one that reads it: the RAM that a micro-controller needs. "
    "In 10⁶ bytes.",
    "peak_activation_kib": "Bytes of the tensors that are alive at the worst moment of one "
    "inference of the 8-bit network, in 1024 bytes: one for each element, from the operation that "
    "makes a tensor to the last one that reads it. Counted on the graph; kernels' buffers and the "
    "runtime aren't in it.",
    "flash_kib": "Bytes of the weights of the 8-bit network, in 1024 bytes: one for each element, "
    "and 8 for each output channel of a layer. Counted; the runtime isn't in it.",
    "cuda_peak_memory_mb": "The allocator's own figure for one inference, weights included, in 10⁶ "
    "bytes.",
    "latency_ms": "Median time of one inference pass, timed pass by pass after a warm-up. The 95 % "
    "interval is where the median of another measurement, at another time, is to be expected. One "
    "architecture is timed once.",
    "throughput": "Examples in a second: 1000 · batch size / latency.",
    "energy_j": "Joules that the device's own counter grows by for one example, from loops of "
    "passes of some seconds: RAPL's packages for a CPU (all that the machine does meanwhile, "
    "without its memory), NVML's for a GPU (without the CPU that drives it). The 95 % interval is "
    "where another loop is to be expected.",
    "synflow": "ln Σ|θ · ∂R/∂θ| of the untrained network, R the sum of its outputs for inputs of "
    "ones and positive weights (Tanaka et al., 2020). Ranks architectures; it is no loss.",
    "naswot": "ln |det K| of the untrained network, K the number of activations in which two "
    "examples are on the same side of 0 (Mellor et al., 2021). Ranks architectures; it is no loss.",
    "grad_norm": "ln of the sum of the norms of the gradients of the untrained network's loss "
    "(Abdelfattah et al., 2021). Ranks architectures; it is no loss.",
    "snip": "ln Σ|θ · ∂L/∂θ| of the untrained network, L its loss (Lee et al., 2019). Ranks "
    "architectures; it is no loss.",
    "expressivity": "Σ s_l of the untrained network, s_l the entropy of the normalised eigenvalues "
    "of the covariance of block l's channels (Lee and Ham, 2024). Ranks architectures; it is no "
    "loss.",
    "progressivity": "The smallest s_l - s_{l-1} of the untrained network, s_l the entropy of the "
    "normalised eigenvalues of the covariance of block l's channels (Lee and Ham, 2024). Ranks "
    "architectures; it is no loss.",
    "trainability": "The mean of 2 - σ_l - 1/σ_l of the untrained network, σ_l the spectral norm "
    "with which gradients pass block l (Lee and Ham, 2024). Ranks architectures; it is no loss.",
}
_INHERITED = (
    "with weights that the network inherits from those that all share. It ranks networks; after "
    "training it is better."
)
_INT8 = (
    "Of the network with 8-bit weights and activations, as ONNX Runtime computes it from its file."
)
_MEAN_IOU = (
    "Mean over the classes: the pixels that are of the class and predicted as such, as a share of "
    "those that are one or the other, over the whole validation part"
)
_SCORES = {
    "TrainingEvaluator": {
        "val_loss": (
            "loss on the validation data, after training",
            "Loss on the validation part, after the last epoch of training unless it says "
            "otherwise here. The search never touches the test part.",
        ),
        "val_accuracy": (
            "share of the validation data that is classified rightly",
            "Share of the validation part whose class is predicted rightly, after the last epoch "
            "of training unless it says otherwise here.",
        ),
        "perplexity": (
            "exponential of the loss a token on the validation data",
            "exp(val_loss), val_loss being the mean cross-entropy of the next token in nats: the "
            "number of tokens among which a uniform guess would be as uncertain.",
        ),
        "val_mean_iou": (
            "mean intersection over union on the validation data",
            f"{_MEAN_IOU}, after the last epoch of training unless it says otherwise here.",
        ),
    },
    "SharedWeightsEvaluator": {
        "val_loss": (
            "loss on the validation data, with inherited weights",
            f"Loss on the validation part, {_INHERITED} The search never touches the test part.",
        ),
        "val_accuracy": (
            "share of the validation data that is classified rightly, with inherited weights",
            f"Share of the validation part whose class is predicted rightly, {_INHERITED}",
        ),
        "perplexity": (
            "exponential of the loss a token on the validation data, with inherited weights",
            f"exp(val_loss), val_loss being the mean cross-entropy in nats, {_INHERITED}",
        ),
        "val_mean_iou": (
            "mean intersection over union on the validation data, with inherited weights",
            f"{_MEAN_IOU}, {_INHERITED}",
        ),
    },
}


class Meanings:
    """The meaning of the names in a study, as far as optnas itself measured them.

    Args:
        study: The study.
        trials: All its trials.
    """

    def __init__(self, study: Study, trials: Iterable[FrozenTrial]) -> None:
        record = record_of(study)
        self._fingerprint: Mapping[str, str] = shown_settings(record.fingerprint)
        self.scores = record.scores
        """The evaluator's scores, and the user's own metrics."""
        self.measured = dict.fromkeys(
            name
            for trial in trials
            for name in trial.user_attrs
            if measurement_of(trial, name) is not None
        )
        """All names under which some trial has a number (an ordered set)."""

    def short(self, name: str) -> str:
        """The meaning in a few words; empty where it isn't known."""
        return self._score(name)[0] or self._metric(name, _SHORT)

    def long(self, name: str) -> str:
        """The definition; empty where it isn't known."""
        return self._score(name)[1] or self._metric(name, _LONG)

    def settings(self, name: str) -> dict[str, str]:
        """The device and the settings with which a metric was measured."""
        start, found = f"{name} ", self._fingerprint.items()
        return {k.removeprefix(start): v for k, v in found if k.startswith(start) and v}

    def evaluator(self) -> dict[str, str]:
        """The evaluator's settings."""
        return self.settings("evaluator")

    def _own(self, name: str) -> bool:
        return name in self.measured and name not in self.scores

    def _metric(self, name: str, meanings: Mapping[str, str]) -> str:
        return meanings.get(name, meanings.get(_base(name), "")) if self._own(name) else ""

    def _score(self, name: str) -> tuple[str, str]:
        evaluator = self._fingerprint.get("evaluator", "")
        if evaluator != "Quantized":
            return _SCORES.get(evaluator, {}).get(name, ("", ""))
        short, long = _SCORES["TrainingEvaluator"].get(name.removesuffix(".int8"), ("", ""))
        if not short or not name.endswith(".int8"):
            return short, long
        return f"{short}, with 8-bit integers", f"{long} {_INT8}"


def _base(name: str) -> str:
    return name.split(".")[0]


def readable_size(size: str) -> str:
    """The size of a search space for readers: `about 2.7 · 10¹⁵`; empty where it isn't known."""
    if not re.match(r"\d|about", size):
        return ""
    size = size.split(" (")[0]
    return re.sub(
        r"e\+?(-?\d+)", lambda m: "\u00a0·\u00a010" + str(int(m[1])).translate(_RAISED), size
    )


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
