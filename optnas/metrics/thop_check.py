"""Cross-checks macs against an independent counter, the package thop, module by module.

thop has a rule for each type of module. It misses functional operations and modules without a rule,
and it adds normalisation, pooling, activations and the biases of recurrent layers, which the
definition of macs leaves out. Every other difference is noted, because one of the two counters
must be wrong there. The package may be the original thop or the fork ultralytics-thop; both provide
the module `thop`.
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
from optnas.metrics.eager import uncompiled
from optnas.utils.inputs import Inputs, call, copied, in_order

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
"""The files of `torch.nn` with modules whose operations the definition of macs leaves out."""
_EXTRA_OF_A_CELL = 16
"""Most operations that thop adds to a cell's products for each hidden unit (an LSTM's gates)."""
_NAMED = 3
"""Most modules of a kind that a summary names."""


@dataclass(frozen=True)
class Difference:
    """A module whose count differs between the two counters, beyond what is explained."""

    module: str
    kind: str
    macs: int
    macs_thop: int


@dataclass(frozen=True)
class ThopCheck:
    """The counts of both counters.

    Attributes:
        counts: Our count of each module.
        macs_thop: thop's count of the network; None if thop failed.
        by_module: thop's count of each module that it counts, children included.
        differences: Modules whose difference the definition of macs doesn't explain.
        no_rule: Types of modules that thop has no rule for, and counts as 0.
        error: Why thop failed; else empty.
    """

    counts: Mapping[str, ModuleCount]
    macs_thop: int | None
    by_module: Mapping[str, int]
    differences: tuple[Difference, ...] = ()
    no_rule: tuple[str, ...] = ()
    error: str = ""

    @property
    def macs(self) -> int:
        """Our count of the network."""
        return sum(count.macs for count in self.counts.values())

    def summary(self) -> dict[str, Any]:
        """The part that a trial stores.

        Returns:
            `macs_thop`; where there are any, `differences` by type of module, `no_rule`, `error`.
        """
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
    """Counts one inference pass with both counters. A failure of thop is reported, not raised.

    Args:
        model: The network, on the CPU; it stays unchanged, because copies are run.
        inputs: One batch element.
    """
    counts = count_modules(model, inputs)
    with warnings.catch_warnings():
        # thop imports distutils, and warns about modules that it doesn't know.
        warnings.simplefilter("ignore")
        try:
            total, by_module = _count_with_thop(model, inputs)
            functional = total - by_module[""]
            modules = dict(model.named_modules())
            return ThopCheck(
                counts,
                total,
                by_module,
                tuple(_differences(modules, counts, by_module, functional)),
                tuple(sorted({type(m).__name__ for m in modules.values() if not _has_rule(m)})),
            )
        except Exception as error:  # an error in thop must not fail a trial
            message = next(iter(str(error).splitlines()), "")
            return ThopCheck(counts, None, {}, error=f"{type(error).__name__}: {message}")


@uncompiled
def _count_with_thop(model: nn.Module, inputs: Inputs) -> tuple[int, dict[str, int]]:
    """The count of the network by thop, and that of each module."""
    import thop

    # Inside another module, because thop counts 0 for a layer that is the whole model.
    wrapped = _Root(copy_of(model), inputs)
    total, _, layers = thop.profile(
        wrapped, inputs=wrapped.positional, verbose=False, ret_layer_info=True
    )
    return int(total), dict(_flat(layers))


def _flat(layers: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    """The nested result of thop by the modules' names; the root's name is empty."""
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
    """Compares each module's own operations, then the operations outside of all modules."""
    own = dict(by_module)
    for name, macs in by_module.items():
        if name:
            own[name.rpartition(".")[0]] -= macs
    rest = {}
    for name, count in counts.items():
        # Below 0 where the fork leaves out a child that it has counted at another place.
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
    """Whether the definition of macs explains the difference between the counts."""
    homes = {base.__module__ for base in type(module).__mro__}
    if any(p.is_complex() for p in module.parameters(recurse=False)):
        theirs *= 4  # thop counts a complex product once
    if theirs == count.macs or (count.macs == 0 and homes & _LEFT_OUT):
        return True
    most = 0
    if isinstance(module, nn.MultiheadAttention):
        # The softmax over QKᵀ: each of its elements took head_dim multiply-accumulates.
        most = 3 * count.macs // (2 * module.head_dim)
    elif isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        outputs = getattr(module, "proj_size", 0) or module.hidden_size
        cells = prod(count.output) // outputs * getattr(module, "num_layers", 1)
        most = _EXTRA_OF_A_CELL * cells * int(module.hidden_size)
    return 0 <= theirs - count.macs <= most


def _has_rule(module: nn.Module) -> bool:
    rules = sys.modules["thop.profile"].register_hooks
    return next(module.children(), None) is not None or any(
        t in rules for t in type(module).__mro__
    )


class _Root(nn.Module):
    """Takes inputs by position, as thop gives them, and calls a model that wants them by name."""

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.model = model
        self.positional = in_order(copied(inputs))
        self._names = list(inputs) if isinstance(inputs, Mapping) else None

    def forward(self, *args: Tensor) -> Any:
        if self._names is not None:
            return call(self.model, dict(zip(self._names, args, strict=True)))
        return call(self.model, args)
