"""The memory that a graph needs in one order of its operations, and in the best one.

A value is alive from the operation that makes it to the last one that reads it, the network's
outputs to the end, and its inputs from the start. While an operation runs, what it reads and what
it makes are alive. Operations may run in any order in which each value is made before it is read.

The best order is searched as a path through the sets of operations that have run (Liberis and
Lane, Neural networks on microcontrollers: saving memory at inference via operator reordering, 2019,
arXiv 1910.05110; the bound of µNAS, arXiv 2010.14246, is its memory). What is alive depends on that
set alone, so each set is looked at once, those with the lowest peak so far first. An operation that
raises no peak and leaves no more alive than before runs at once: no order is worse for it.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

from optnas.metrics.int8_folding import Graph

SETS = 2000
"""The largest number of sets to look at."""


class LeastPeak(NamedTuple):
    """The peak of the best order that was found.

    Attributes:
        elements: The peak.
        exact: Whether no order has a lower one. If not, the search was given up.
    """

    elements: int
    exact: bool


def peak_in_order(graph: Graph) -> int:
    """The peak in the graph's own order, in elements."""
    last = {value: at for at, op in enumerate(graph.ops) for value in op.reads}
    alive = peak = sum(graph.sizes[value] for value in graph.inputs)
    alive -= sum(graph.sizes[v] for v in graph.inputs if v not in last and v not in graph.outputs)
    for at, op in enumerate(graph.ops):
        alive += sum(graph.sizes[value] for value in op.makes)
        peak = max(peak, alive)
        ended = [v for v in op.reads if last[v] == at and v not in graph.outputs]
        alive -= sum(graph.sizes[value] for value in ended)
    return peak


def least_peak(graph: Graph, most: int = SETS) -> LeastPeak:
    """The lowest peak over all orders, in elements.

    Args:
        graph: The graph.
        most: The largest number of sets of operations to look at. Then the furthest order of those
            with the lowest peak so far is finished greedily, if that is better than the graph's.
    """
    own, search = peak_in_order(graph), _Orders(graph)
    if own == search.floor:
        return LeastPeak(own, exact=True)
    start = _State(0, search.entering, tuple(i for i, n in enumerate(search.needs) if not n))
    waiting, seen = [(search.floor, 0, 0, start)], set[int]()
    while waiting:
        peak, _, _, state = heappop(waiting)
        state = search.advanced(state, peak)
        if state.done in seen:
            continue
        seen.add(state.done)
        if not state.ready:
            return LeastPeak(peak, exact=True)
        if len(seen) > most:
            return LeastPeak(min(own, search.finished(state, peak)), exact=False)
        for op in state.ready:
            higher = max(peak, state.alive + search.made[op])
            if higher < own:
                after = search.after(state, op)
                # Of equal peaks the one that is furthest; the set itself ends every comparison.
                heappush(waiting, (higher, -after.done.bit_count(), after.done, after))
    return LeastPeak(own, exact=True)


class _State(NamedTuple):
    """A set of operations that have run, as bits; what is alive; and which ones may run next."""

    done: int
    alive: int
    ready: tuple[int, ...]


class _Orders:
    """What the search knows of a graph. Sets of operations are the bits of whole numbers.

    Attributes:
        made: The elements that each operation makes.
        needs: The operations that each one needs before.
        entering: The elements that are alive before the first operation.
        floor: A peak that no order is below.
    """

    def __init__(self, graph: Graph) -> None:
        maker = {value: i for i, op in enumerate(graph.ops) for value in op.makes}
        readers = dict.fromkeys(range(len(graph.sizes)), 0)
        for i, op in enumerate(graph.ops):
            for value in op.reads:
                readers[value] |= 1 << i
        self.needs = [
            sum(1 << at for at in {maker[v] for v in op.reads if v in maker}) for op in graph.ops
        ]
        self.made = [sum(graph.sizes[value] for value in op.makes) for op in graph.ops]
        self._next: list[list[int]] = [[] for _ in graph.ops]
        for i, need in enumerate(self.needs):
            for at in range(i):
                if need >> at & 1:
                    self._next[at].append(i)
        # For each operation, the values that it may be the last to read: their readers and sizes.
        self._read = [
            [(readers[v], graph.sizes[v]) for v in op.reads if v not in graph.outputs]
            for op in graph.ops
        ]
        kept = [v for v in graph.inputs if readers[v] or v in graph.outputs]
        self.entering = sum(graph.sizes[value] for value in kept)
        own = [
            self.made[i] + sum(graph.sizes[value] for value in op.reads)
            for i, op in enumerate(graph.ops)
        ]
        self.floor = max([sum(graph.sizes[value] for value in graph.inputs), *own])

    def after(self, state: _State, op: int) -> _State:
        """The state after an operation that may run now."""
        done = state.done | 1 << op
        alive = state.alive + self.made[op]
        alive -= sum(size for readers, size in self._read[op] if not readers & ~done)
        freed = tuple(i for i in self._next[op] if not self.needs[i] & ~done)
        return _State(done, alive, tuple(i for i in state.ready if i != op) + freed)

    def advanced(self, state: _State, peak: int) -> _State:
        """The state after all operations that may run at once, as no order is worse for it.

        Such an operation stays within the peak, and leaves no more alive than there was. Put first,
        it only lowers what is alive during the others: it ends no value's life later.
        """
        moved = True
        while moved:
            moved = False
            for op in state.ready:
                if state.alive + self.made[op] <= peak:
                    after = self.after(state, op)
                    if after.alive <= state.alive:
                        state, moved = after, True
                        break
        return state

    def finished(self, state: _State, peak: int) -> int:
        """The peak if each next operation is one that raises it least, and leaves least alive."""
        while state.ready:
            op = self._least(state, peak)
            peak = max(peak, state.alive + self.made[op])
            state = self.advanced(self.after(state, op), peak)
        return peak

    def _least(self, state: _State, peak: int) -> int:
        def cost(op: int) -> tuple[int, int]:
            return max(peak, state.alive + self.made[op]), self.after(state, op).alive

        return min(state.ready, key=cost)
