"""The tried architectures, as a tree of decisions.

A define-by-run space is a tree: at each node a parameter is drawn, and each of its values leads to
another node. A trial is a path from the root. A node is closed once nothing new can be reached
through it. A sampler that draws one value after the other, and none that leads to a closed node,
never repeats a trial, in conditional spaces too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from optuna.trial import FrozenTrial

from optnas.utils.distributions import options, stored

Decision = tuple[str, float, float]
"""A parameter's name, its value as Optuna stores it, and the number of its values."""


class Fork:
    """A parameter at a node: the values that were taken, and which of them are closed."""

    __slots__ = ("_closed", "children", "size")

    def __init__(self) -> None:
        self.children: dict[float, Node] = {}
        self._closed: set[float] | None = None  # None saves memory: most forks have no closed value
        self.size = math.inf

    @property
    def closed(self) -> Collection[float]:
        """The values that lead to nothing new."""
        return self._closed or ()

    def settle(self, key: float, closed: bool) -> None:
        """Records whether a value is closed."""
        if closed and self._closed is None:
            self._closed = {key}
        elif self._closed is not None:
            (self._closed.add if closed else self._closed.discard)(key)

    @property
    def full(self) -> bool:
        """Whether every value is closed."""
        return len(self.closed) >= self.size


class Node:
    """A node of the tree: the parameters that were drawn next, and how many trials ended here.

    A deterministic space always draws the same parameter next at a node. A node has several only if
    trials were added by hand in another order.
    """

    __slots__ = ("ends", "forks")

    def __init__(self) -> None:
        self.ends = 0
        self.forks: dict[str, Fork] = {}

    @property
    def closed(self) -> bool:
        """Whether nothing new can be reached from here."""
        if not self.forks:
            return self.ends > 0
        return any(fork.full for fork in self.forks.values())

    def child(self, name: str, key: float) -> Node | None:
        """The node that a value leads to, if the value was taken before."""
        fork = self.forks.get(name)
        return fork.children.get(key) if fork is not None else None


class Trie:
    """The tree of all paths."""

    def __init__(self) -> None:
        self.root = Node()

    def add(self, path: list[Decision]) -> None:
        """Adds the path of a trial."""
        nodes = [self.root]
        for name, key, size in path:
            fork = nodes[-1].forks.get(name)
            if fork is None:
                fork = nodes[-1].forks[name] = Fork()
            fork.size = size
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

    Args:
        node: The first node, such as the root.
        params: Values as Optuna stores them; parameters without a value are free.
    """
    while node.forks and not node.closed:
        name = next((n for n in node.forks if n in params), None)
        child = node.child(name, params[name]) if name is not None else None
        if child is None:
            return False
        node = child
    return node.closed


def path_of(trial: FrozenTrial) -> list[Decision]:
    """The decisions of a trial, in the order of drawing."""
    distributions = trial.distributions
    return [
        (name, stored(distributions[name], value), options(distributions[name]) or math.inf)
        for name, value in trial.params.items()
    ]
