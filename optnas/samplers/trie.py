"""The tried architectures, as a tree of decisions.

A define-by-run space is a tree: at each node a parameter is drawn, and each of its values leads to
another node. A trial is a path from the root. A node is closed once nothing new can be reached
through it. A sampler that draws one value after the other, and none that leads to a closed node,
never repeats a trial, in conditional spaces too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from optnas.utils.distributions import as_key, holds, options

Decision = tuple[str, float, BaseDistribution | None]
"""A parameter's name, its value's key (see `as_key`), and what it was drawn from (None if nothing
else could be drawn)."""
Keys = tuple[tuple[str, float], ...]
"""Parameters' names and the keys of their values."""


class Fork:
    """A parameter at a node: the values that were taken, and which of them are closed.

    Attributes:
        children: The nodes that the values lead to.
        newest: The largest number of a trial that drew the parameter here. Its distribution is the
            one that counts: the study's owner may have changed the range.
    """

    __slots__ = ("_closed", "_distribution", "_inside", "_size", "children", "newest")

    def __init__(self) -> None:
        self.children: dict[float, Node] = {}
        self.newest = -1
        self._closed: set[float] | None = None  # None saves memory: most forks have no closed value
        self._distribution: BaseDistribution | None = None
        self._size, self._inside = 1.0, 0

    def draw_from(self, distribution: BaseDistribution | None, number: int) -> None:
        """Takes the distribution of a trial, unless that of a newer one is known."""
        if number < self.newest:
            return
        self.newest = number
        if distribution != self._distribution:
            self._distribution = distribution
            self._size, self._inside = _size(distribution), self._number_in(distribution)

    @property
    def closed(self) -> Collection[float]:
        """The values that lead to nothing new."""
        return self._closed or ()

    def settle(self, key: float, closed: bool) -> None:
        """Records whether a value is closed."""
        if closed == (key in self.closed):
            return
        if self._closed is None:
            self._closed = set()
        (self._closed.add if closed else self._closed.discard)(key)
        if _contains(self._distribution, key):
            self._inside += 1 if closed else -1

    @property
    def full(self) -> bool:
        """Whether every value is closed."""
        return self._inside >= self._size

    def is_full_in(self, distribution: BaseDistribution) -> bool:
        """Whether every value of a distribution is closed."""
        if self._distribution in (None, distribution):
            return self.full
        return self._number_in(distribution) >= _size(distribution)

    def _number_in(self, distribution: BaseDistribution | None) -> int:
        return sum(_contains(distribution, key) for key in self.closed)


def _size(distribution: BaseDistribution | None) -> float:
    return 1 if distribution is None else options(distribution) or math.inf


def _contains(distribution: BaseDistribution | None, key: float) -> bool:
    return distribution is None or holds(distribution, key)


class Node:
    """A node of the tree: the parameters that were drawn next, and how many trials ended here.

    A deterministic space always draws the same parameter next at a node. A node has several if
    trials were added by hand in another order, or the code of the space was changed.
    """

    __slots__ = ("ends", "forks")

    def __init__(self) -> None:
        self.ends = 0
        self.forks: dict[str, Fork] = {}

    @property
    def next(self) -> str:
        """The parameter that the newest trial drew here; there must be one."""
        if len(self.forks) == 1:
            return next(iter(self.forks))
        return max(self.forks, key=lambda name: self.forks[name].newest)

    @property
    def closed(self) -> bool:
        """Whether nothing new can be reached from here."""
        return self.forks[self.next].full if self.forks else self.ends > 0

    def child(self, name: str, key: float) -> Node | None:
        """The node that a value leads to, if the value was taken before."""
        fork = self.forks.get(name)
        return fork.children.get(key) if fork is not None else None


class Trie:
    """The tree of all paths."""

    def __init__(self) -> None:
        self.root = Node()

    def add(self, path: list[Decision], number: int) -> None:
        """Adds the path of the trial of a number."""
        nodes = [self.root]
        for name, key, distribution in path:
            fork = nodes[-1].forks.get(name)
            if fork is None:
                fork = nodes[-1].forks[name] = Fork()
            fork.draw_from(distribution, number)
            child = fork.children.get(key)
            if child is None:
                child = fork.children[key] = Node()
            nodes.append(child)
        nodes[-1].ends += 1
        self._settle(path, nodes)

    def remove(self, path: list[Decision]) -> None:
        """Removes a path that was added."""
        nodes = [self.root]
        for name, key, _ in path:
            nodes.append(nodes[-1].forks[name].children[key])
        nodes[-1].ends -= 1
        self._settle(path, nodes)

    @staticmethod
    def _settle(path: list[Decision], nodes: list[Node]) -> None:
        """Closes or opens the nodes of a path, and drops those that no trial passes any more."""
        for (name, key, _), node, child in zip(
            reversed(path), nodes[-2::-1], nodes[:0:-1], strict=True
        ):
            fork = node.forks[name]
            fork.settle(key, child.closed)
            if not child.ends and not child.forks:
                del fork.children[key]
                if not fork.children:
                    del node.forks[name]


def tried(node: Node, params: Mapping[str, float]) -> bool:
    """Whether taking these values for their parameters leads to nothing new.

    Where trials drew other parameters at a node, in another order, their paths are followed, too.

    Args:
        node: The first node, such as the root.
        params: The keys of values (see `as_key`); parameters without a value are free.
    """
    nodes = [(node, frozenset[str]())]  # with the parameters that its path lacks so far
    while nodes:
        node, lacking = nodes.pop()
        if node.closed and not lacking:
            return True
        if not node.forks or node.next not in params:
            continue
        for name in node.forks:
            child = node.child(name, params[name]) if name in params else None
            if child is not None:
                nodes.append((child, (lacking | {node.next}) - {name}))
    return False


def path_of(trial: FrozenTrial) -> list[Decision]:
    """The decisions of a trial, in the order of drawing."""
    distributions = trial.distributions
    return [
        (name, as_key(distributions[name], value), distributions[name])
        for name, value in trial.params.items()
    ]


def keys_of(trial: FrozenTrial) -> Keys:
    """The parameters of a trial and the keys of their values: equal ones are one architecture."""
    return tuple((name, key) for name, key, _ in path_of(trial))
