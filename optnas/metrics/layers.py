"""Parameters and multiply-accumulates of a network, layer by layer."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from torch import nn

from optnas.candidate import copy_of, materialize
from optnas.metrics.counting import count_pass
from optnas.metrics.formulas import Shape
from optnas.metrics.params import count_params
from optnas.metrics.thop_check import ThopCheck, check_with_thop
from optnas.utils.html import table
from optnas.utils.inputs import Inputs, in_order
from optnas.utils.text import definitions


@dataclass(frozen=True)
class Layer:
    """One module that computes something itself, or holds parameters itself.

    Attributes:
        name: Path in the model; empty for the model itself.
        kind: Name of the module's class.
        output: Shape of its last output, with the batch dimension; empty if it wasn't called.
        params: Elements of its own parameters; tied ones count for the first module that has them.
        macs: Multiply-accumulates of its own operations.
        macs_thop: thop's count for it and its children; None where thop doesn't count it.
    """

    name: str
    kind: str
    output: Shape
    params: int
    macs: int
    macs_thop: int | None


@dataclass(frozen=True)
class Profile:
    """Parameters and multiply-accumulates of each layer; `print` shows a table.

    Attributes:
        layers: The layers, in the order of `model.named_modules()`.
        params: Elements of all parameters; tied ones count once.
        thop: The cross-check with thop.
        inputs: The shapes of the inputs.
        not_counted: Names of operations without a formula, such as quantised or custom ones.
    """

    layers: tuple[Layer, ...]
    params: int
    thop: ThopCheck
    inputs: tuple[Shape, ...]
    not_counted: tuple[str, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one example."""
        return self.thop.macs

    @property
    def flops(self) -> int:
        """Floating-point operations for one example: 2 · macs."""
        return 2 * self.macs

    def _rows(self) -> list[list[str]]:
        """The table's head, its rows and the row of sums."""
        rows = [["layer", "type", "output", "params", "macs", "share", "macs by thop"]]
        for layer in self.layers:
            rows.append(
                [
                    layer.name or "(the model itself)",
                    layer.kind,
                    "×".join(map(str, layer.output)),
                    f"{layer.params:,}",
                    f"{layer.macs:,}",
                    f"{layer.macs / max(self.macs, 1):.1%}",
                    _or_dash(layer.macs_thop),
                ]
            )
        rows.append(
            ["all", "", "", f"{self.params:,}", f"{self.macs:,}", "", _or_dash(self.thop.macs_thop)]
        )
        return rows

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        head, *rows = self._rows()
        notes = [f"{definitions(['flops'])}.", *self._notes()]
        return table(head, rows, notes=notes, left=(0, 1, 2))

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        rule = "─" * len(lines[0])
        meaning = textwrap.wrap(f"{definitions(['flops'])}.", 98)
        table = [lines[0], rule, *lines[1:-1], rule, lines[-1], "", *meaning, *self._notes()]
        return "\n".join(table)

    __repr__ = __str__

    def _notes(self) -> list[str]:
        notes = [
            f"The inputs' first dimension is {size}: if that is a batch, all of it is counted."
            for size in {shape[0] for shape in self.inputs if shape} - {1}
        ]
        notes += [
            f"thop counts {_or_dash(d.macs_thop)} in {d.module or 'the model itself'} ({d.kind}), "
            f"which has {d.macs:,}."
            for d in self.thop.differences
        ]
        if self.not_counted:
            notes.append(f"Not in macs, as there is no formula: {', '.join(self.not_counted)}.")
        if self.thop.no_rule:
            notes.append(f"thop has no rule for: {', '.join(self.thop.no_rule)}.")
        return [*notes, f"thop failed: {self.thop.error}."] if self.thop.error else notes


def profile(model: nn.Module, example_inputs: Inputs) -> Profile:
    """Counts parameters and multiply-accumulates of each layer in one inference pass.

    Args:
        model: The network; it stays unchanged, because copies are run, in evaluation mode.
        example_inputs: One batch element: a tensor, a tuple of tensors, or tensors by name.

    Returns:
        The layers; `print` shows them as a table.

    Example:
        ```python
        import torch
        from optnas.metrics import profile

        print(profile(torch.nn.Conv2d(3, 8, 3), torch.zeros(1, 3, 16, 16)))
        ```
    """
    model = copy_of(model)
    materialize(model, example_inputs)
    thop = check_with_thop(model, example_inputs)
    seen: set[int] = set()
    layers = []
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        params, count = sum(p.numel() for p in own), thop.counts[name]
        leaf = next(module.children(), None) is None
        if leaf or params or count.macs:
            layers.append(
                Layer(
                    name,
                    type(module).__name__,
                    count.output,
                    params,
                    count.macs,
                    thop.by_module.get(name),
                )
            )
    unknown = count_pass(model, example_inputs).unknown
    inputs = tuple(tuple(tensor.shape) for tensor in in_order(example_inputs))
    return Profile(tuple(layers), count_params(model), thop, inputs, unknown)


def _or_dash(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"
