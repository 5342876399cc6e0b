"""Finds the channels of a network that can be removed together alone.

torch-pruning traces the network and says which layers meet where, and which channel of one is which
of the other, as through a concatenation (Fang et al., DepGraph: towards any structural pruning,
CVPR 2023, arXiv 2301.12900). Here, channels that meet are joined to sets.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import nn

from optnas.search_spaces.slim.layers import Part, Side, sides_of
from optnas.search_spaces.slim.trace import Index, traced
from optnas.utils.inputs import Inputs

MOST_VISITS = 32
"""An operation that one walk reaches with more sets of channels isn't understood.

As in rotary embeddings, whose halves change places: each round would shift the channels again.
"""


class Port(NamedTuple):
    """A side of a layer, or a parameter that lies in no such layer.

    Attributes:
        layer: The name of the layer; empty of a parameter.
        side: `in`, `out` or `both`; of a parameter, its name.
    """

    layer: str
    side: str


Atom = dict[Port, tuple[int, ...]]
"""Channels that are kept or removed together: their numbers at each port."""


class Channels:
    """The channels of a network, at all of its ports.

    Args:
        model: The network, all of whose parameters need gradients.
        inputs: Its example inputs.

    Attributes:
        ports: The channels of each port, in the order of the network's modules.

    Raises:
        InputError: torch-pruning isn't installed, or can't trace the network.
    """

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        self._graph, self._returned = traced(model, inputs)
        self.ports: dict[Port, Side] = {}
        self._sides: dict[Any, str] = {}
        names = {module: name for name, module in model.named_modules()}
        for name, module in model.named_modules():
            for side, found in (sides_of(module) or {}).items():
                self.ports[Port(name, side)] = found
        nodes = self._graph.module2node
        parameters = {id(p): name for name, p in model.named_parameters()}
        self._names = {
            id(thing): names[thing] if isinstance(thing, nn.Module) else parameters[id(thing)]
            for thing in nodes
            if thing in names or id(thing) in parameters
        }
        for thing, node in nodes.items():
            if isinstance(thing, nn.Parameter):
                name, dim = self._names[id(thing)], node.pruning_dim
                size = thing.shape[dim]
                self.ports[Port("", name)] = Side(size, (Part(name, dim % thing.ndim),))

    def atoms(self) -> list[Atom]:
        """The sets of channels that meet, without those that the network returns."""
        starts: dict[Port, int] = {}
        total = 0
        for port, side in self.ports.items():
            starts[port] = total
            total += side.size
        first: list[NDArray[np.intp]] = []
        second: list[NDArray[np.intp]] = []
        fixed = np.zeros(total, dtype=bool)
        for port, node, fn in self._starts():
            if node.grad_fn in self._returned and port.side != "in":
                fixed[starts[port] : starts[port] + self.ports[port].size] = True
            for reached, channels in self._walk(node, fn, self.ports[port].size):
                roots = np.array([index.root_idx for index in channels]) + starts[port]
                if reached is None:
                    fixed[roots] = True
                else:
                    first.append(roots)
                    second.append(np.array([i.idx for i in channels]) + starts[reached])
        for port, side in self.ports.items():
            if side.blocks:
                own = starts[port] + np.arange(side.size)
                first.append(own)
                second.append(np.repeat(own[:: side.size // side.blocks], side.size // side.blocks))
                other = self.ports.get(Port(port.layer, "in")) if port.side == "out" else None
                if other is not None:
                    first.append(own[:: side.size // side.blocks])
                    at = starts[Port(port.layer, "in")]
                    second.append(at + np.arange(0, other.size, other.size // side.blocks))
        edges = np.concatenate([[], *first]), np.concatenate([[], *second])
        matrix = coo_array((np.ones(len(edges[0])), edges), shape=(total, total))
        _, labels = connected_components(matrix, directed=False)
        blocked = set(labels[fixed])
        found: dict[int, dict[Port, list[int]]] = defaultdict(lambda: defaultdict(list))
        for port, side in self.ports.items():
            for channel, label in enumerate(labels[starts[port] : starts[port] + side.size]):
                if label not in blocked:
                    found[label][port].append(channel)
        return [{p: tuple(c) for p, c in atom.items()} for atom in found.values()]

    def _starts(self) -> Iterator[tuple[Port, Any, Callable[..., Any]]]:
        """All ports that the network uses, each with its node and its function in the graph."""
        for thing, node in self._graph.module2node.items():
            if id(thing) in self._names:
                pruner = self._graph.get_pruner_of_module(thing)
                for fn in (pruner.prune_in_channels, pruner.prune_out_channels):
                    port = self._port(thing, fn)
                    if port is not None:
                        yield port, node, fn

    def _port(self, thing: Any, fn: Callable[..., Any]) -> Port | None:
        """The port of a function of the graph; None if the layer keeps its channels."""
        name = self._names[id(thing)]
        if isinstance(thing, nn.Parameter):
            return Port("", name)
        pruner = self._graph.get_pruner_of_module(thing)
        side = "out" if fn == pruner.prune_out_channels else "in"
        return next((Port(name, s) for s in ("both", side) if Port(name, s) in self.ports), None)

    def _walk(
        self, node: Any, fn: Callable[..., Any], size: int
    ) -> Iterator[tuple[Port | None, list[Index]]]:
        """The ports that all channels of one lead to, through operations without parameters.

        Yields:
            The port, None for an output of the network or a layer that keeps its channels, and its
            channels.
        """
        whole = [Index(i, i) for i in range(size)]
        waiting = [(node, fn, whole, False)]
        seen: set[Any] = set()
        visits: Counter[Any] = Counter()
        while waiting:
            node, fn, channels, mapped = waiting.pop()
            for edge in node.dependencies:
                if not edge.is_triggered_by(fn):
                    continue
                there, is_mapped = channels, mapped
                try:
                    for mapping in filter(None, edge.index_mapping):
                        there, is_mapped = mapping(there), True
                except IndexError:  # torch-pruning misread the operation, as those of a GRU
                    yield None, channels
                    continue
                target, to = edge.target, edge.handler
                key = id(target), to.__name__, hash(tuple(there))
                there = [index for index in there if index.root_idx is not None]
                if not there or key in seen:
                    continue
                seen.add(key)
                visits[key[:2]] += 1
                if visits[key[:2]] > MOST_VISITS:
                    yield None, there
                    continue
                if id(target.module) in self._names:
                    port = self._port(target.module, to)
                    if port is None:
                        yield None, there
                    elif found := _fitted(there, self.ports[port].size, mapped=is_mapped):
                        yield port, found
                elif type(target.module).__name__ == "_OutputOp":
                    yield None, there
                else:
                    waiting.append((target, to, there, is_mapped))


def _fitted(channels: list[Index], size: int, *, mapped: bool) -> list[Index]:
    """The channels as a port of another size has them; none if that is unknown.

    A layer behind a flattening reads several entries of each channel, one after the other, and
    torch-pruning knows this of images alone.
    """
    each, rest = divmod(size, len(channels))
    if each > 1 and not rest and not mapped:
        return [Index(i * each + k, root) for i, root in channels for k in range(each)]
    return channels if max(index.idx for index in channels) < size else []
