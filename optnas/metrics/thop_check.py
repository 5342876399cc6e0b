"""thop's count of multiply-accumulates, held against ours module by module.

thop counts by a rule for each type of module, so it misses what is functional, and modules that it
has no rule for; it adds normalisation, pooling, activations, and the biases of recurrent layers,
which the definition of macs leaves out. Whatever else differs is a fault of thop's (or of ours:
each is a reason to look), and is noted. The package `thop` may be the original or the fork
ultralytics-thop: both provide the module `thop`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor, nn

from optnas.candidate import copy_of
from optnas.metrics.counting import ModuleCount, count_modules
from optnas.utils.inputs import Inputs, call, in_order

_LEFT_OUT = {
    f"torch.nn.modules.{kind}"
    for kind in (
        "activation",
        "batchnorm",
        "dropout",
        "instancenorm",
        "normalization",
        "padding",
        "pixelshuffle",
        "pooling",
        "sparse",
        "upsampling",
    )
}
"""Where the modules live whose operations the definition of macs leaves out."""
_OF_A_CELL = 16
"""Most operations a unit that thop counts for a cell beside its products (an LSTM's four gates)."""
_NAMED = 3
"""How many modules of a kind are named in a summary."""


@dataclass(frozen=True)
class Difference:
    """What a module does according to both counters."""

    module: str
    kind: str
    macs: int
    macs_thop: int


@dataclass(frozen=True)
class ThopCheck:
    """The outcome of both counts.

    Attributes:
        counts: Ours, of each module.
        macs_thop: thop's; None if it failed, with the reason in `error`.
        by_module: thop's count of each module that it looked at, its children included.
        differences: Where it isn't explained by what the definition leaves out.
        no_rule: Types of modules that thop has no rule for, and counts as 0.
    """

    counts: Mapping[str, ModuleCount]
    macs_thop: int | None
    by_module: Mapping[str, int]
    differences: tuple[Difference, ...] = ()
    no_rule: tuple[str, ...] = ()
    error: str = ""

    @property
    def macs(self) -> int:
        """Ours, of all modules."""
        return sum(count.macs for count in self.counts.values())

    def summary(self) -> dict[str, Any]:
        """What a trial keeps: `macs_thop`, `differences` by type of module, `no_rule`, `error`."""
        found: dict[str, Any] = {"macs_thop": self.macs_thop}
        kinds: dict[str, list[Difference]] = {}
        for difference in self.differences:
            kinds.setdefault(difference.kind, []).append(difference)
        if kinds:
            found["differences"] = [
                {
                    "kind": kind,
                    "modules": [d.module for d in of_kind[:_NAMED]],
                    "times": len(of_kind),
                    "macs": sum(d.macs for d in of_kind),
                    "macs_thop": sum(d.macs_thop for d in of_kind),
                }
                for kind, of_kind in kinds.items()
            ]
        if self.no_rule:
            found["no_rule"] = list(self.no_rule)
        return found | ({"error": self.error} if self.error else {})


def check_with_thop(model: nn.Module, inputs: Inputs) -> ThopCheck:
    """Counts one inference pass of copies of the model with both counters.

    Args:
        model: Left as it was.
        inputs: One batch element.
    """
    counts = count_modules(model, inputs)
    with warnings.catch_warnings():
        # thop imports distutils, and warns of what it doesn't know.
        warnings.simplefilter("ignore")
        try:
            import thop

            # In a container of our own: thop counts nothing for a layer that is the whole model.
            wrapped = _Root(copy_of(model), inputs)
            total, _, layers = thop.profile(
                wrapped, inputs=wrapped.positional, verbose=False, ret_layer_info=True
            )
            by_module = dict(_flat(layers))
            functional = int(total) - by_module[""]
            modules = dict(model.named_modules())
            return ThopCheck(
                counts,
                int(total),
                by_module,
                tuple(_differences(modules, counts, by_module, functional)),
                tuple(sorted({type(m).__name__ for m in modules.values() if not _has_rule(m)})),
            )
        except Exception as error:  # a fault of thop's must not end a trial
            return ThopCheck(counts, None, {}, error=f"{type(error).__name__}: {error}")


def _flat(layers: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    """The nested result of thop by the modules' names; the root's is empty."""
    for name, (macs, _, children) in layers.items():
        path = f"{prefix}.{name}".removeprefix(".")
        yield path.removeprefix("model").removeprefix("."), int(macs)
        yield from _flat(children, path)


def _differences(
    modules: Mapping[str, nn.Module],
    counts: Mapping[str, ModuleCount],
    by_module: Mapping[str, int],
    functional: int,
) -> Iterator[Difference]:
    """Compares what each module does itself, then what thop counted outside of all modules."""
    own = dict(by_module)
    for name, macs in by_module.items():
        if name:
            own[name.rpartition(".")[0]] -= macs
    rest = {}
    for name, count in counts.items():
        # Below zero where the fork left out a child that it had counted at another place.
        theirs = max(own.get(name, 0), 0)
        if theirs == 0 and next(modules[name].children(), None) is not None:
            if count.macs:
                rest[name] = count.macs
        elif not _explained(modules[name], count, theirs):
            yield Difference(name, type(modules[name]).__name__, count.macs, theirs)
    if sum(rest.values()) != functional:
        for name, macs in rest.items():
            yield Difference(name, f"{type(modules[name]).__name__} (functional)", macs, 0)
    again = by_module[""] - sum(max(own.get(name, 0), 0) for name in counts)
    if again:
        yield Difference("", "modules at several places, counted at each", 0, again)


def _explained(module: nn.Module, count: ModuleCount, theirs: int) -> bool:
    """Whether the counts differ by no more than what the definition of macs leaves out."""
    homes = {base.__module__ for base in type(module).__mro__}
    if theirs == count.macs or (count.macs == 0 and homes & _LEFT_OUT):
        return True
    most = 0
    if isinstance(module, nn.MultiheadAttention):  # its softmax over QKᵀ, which took head_dim each
        most = 3 * count.macs // (2 * module.head_dim)
    elif isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        outputs = getattr(module, "proj_size", 0) or module.hidden_size
        cells = prod(count.output) // outputs * getattr(module, "num_layers", 1)
        most = _OF_A_CELL * cells * int(module.hidden_size)
    return 0 <= theirs - count.macs <= most


def _has_rule(module: nn.Module) -> bool:
    rules = sys.modules["thop.profile"].register_hooks
    return next(module.children(), None) is not None or any(
        t in rules for t in type(module).__mro__
    )


class _Root(nn.Module):
    """Calls a model by name where its inputs have names: thop gives tensors by position."""

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.model = model
        self.positional = in_order(inputs)
        self._names = list(inputs) if isinstance(inputs, Mapping) else None

    def forward(self, *args: Tensor) -> Any:
        if self._names is not None:
            return call(self.model, dict(zip(self._names, args, strict=True)))
        return call(self.model, args)
