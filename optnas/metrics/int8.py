"""What an int8 network needs of a microcontroller: RAM for its tensors, flash for its weights.

Both are counted on the graph that `int8_graph.py` makes of the float network; nothing is quantised.
A KiB is 1024 bytes. `execution_order.py` finds the best order of the operations.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from optnas.candidate import Candidate
from optnas.metrics.base import Metric
from optnas.metrics.execution_order import least_peak, peak_in_order
from optnas.metrics.int8_folding import Graph
from optnas.metrics.int8_graph import int8_graph

KIB = 1024
PER_CHANNEL = 8
"""Bytes for each output channel of a layer with weights: a bias of 32 bits, and a scale."""
Order = Literal["best", "own"]
ORDERS: tuple[Order, ...] = ("best", "own")


class Int8PeakActivation(Metric):
    """Peak memory of an int8 network's tensors during one inference of one example, in KiB.

    One byte for each element of the tensors that are alive at the worst moment: from the operation
    that makes a tensor to the last one that reads it, the network's inputs and outputs included.
    What an operation reads and what it makes are alive while it runs. Views need no memory; batch
    normalisation, ReLU and ReLU6 are folded into what they follow (see `int8_folding.py`).

    A count, and not what a device uses: buffers of the kernels, what alignment and fragmentation
    cost, the runtime, and its stack aren't in it.

    Source: the bound of Liberis et al., µNAS: constrained neural architecture search for
    microcontrollers, 2020 (arXiv 2010.14246).

    Example:
        ```python
        import torch
        import optnas

        layer = torch.nn.Conv2d(3, 8, 3, padding=1)
        found = optnas.measure(layer, torch.zeros(1, 3, 32, 32), ["peak_activation_kib.int8"])
        # 3 + 8 channels of one KiB each: {"peak_activation_kib.int8": 11.0}
        ```

    Args:
        order: `best`: the operations run in the order that needs least, as where a planner reorders
            them (if that takes too long to find, in their own). `own`: in the order in which the
            network's code runs them, as in a runtime that runs the graph as it was exported.

    Raises:
        ValueError: There is no such order.
    """

    name = "peak_activation_kib.int8"
    effort: ClassVar[int] = 1
    least: ClassVar[float] = 0.0

    def __init__(self, order: Order = "best") -> None:
        if order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
        self._order = order

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The order of the operations."""
        return {"order": self._order}

    def measure(self, candidate: Candidate) -> float:
        """Counts on one inference pass over the example inputs."""
        return float(_counted(candidate)[f"peak_bytes_in_{self._order}_order"]) / KIB


class Int8Flash(Metric):
    """Size of an int8 network's weights, with a stated overhead, in KiB.

    One byte for each element of the weights and other constants that an inference reads; tied ones
    count once. The overhead is 8 bytes for each output channel of a convolution, linear layer, or
    batch normalisation that isn't folded into one: a bias of 32 bits and a scale.

    A count, and not what a device uses: the graph's description, the runtime's code and the rest of
    the program aren't in it.

    Example:
        ```python
        import torch
        import optnas

        layer = torch.nn.Linear(512, 2)
        found = optnas.measure(layer, torch.zeros(1, 512), ["flash_kib.int8"])
        # (512 · 2 + 8 · 2) bytes: {"flash_kib.int8": 1.015625}
        ```
    """

    name = "flash_kib.int8"
    effort: ClassVar[int] = 1
    least: ClassVar[float] = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Counts on one inference pass over the example inputs."""
        return float(_counted(candidate)["flash_bytes"]) / KIB


def _counted(candidate: Candidate) -> dict[str, Any]:
    """The counts of a candidate; counted once for both metrics."""
    if "int8" not in candidate.details:
        graph = int8_graph(candidate.to_measure(), candidate.example_inputs)
        least = least_peak(graph)
        candidate.details["int8"] = {
            "peak_bytes_in_best_order": least.elements,
            "peak_bytes_in_own_order": peak_in_order(graph),
            "best_order_is_exact": least.exact,
            "flash_bytes": _flash_bytes(graph),
        }
    found: dict[str, Any] = candidate.details["int8"]
    return found


def _flash_bytes(graph: Graph) -> int:
    constants = frozenset[tuple[int, int, int]]().union(*(op.constants for op in graph.ops))
    channels = sum(op.channels for op in graph.ops)
    return sum(elements for *_, elements in constants) + PER_CHANNEL * channels
