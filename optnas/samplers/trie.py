"""What was tried already, as a tree of decisions.

A define-by-run space is a tree: at each node a parameter is drawn, and each of its values leads on.
A trial is a path from the root. A node is closed once nothing new can be reached through it, so
whoever draws one value after the other, and takes none that leads to a closed node, never repeats
a trial, in conditional spaces just as in others.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from optuna.trial import FrozenTrial

from optnas.utils.distributions import options, stored

Decision = tuple[str, float, float]
"""A parameter's name, its value as Optuna stores it, and how many values it has."""


class Fork:
    """A parameter at a node: its values that were taken, and those of them that are closed."""

    __slots__ = ("_closed", "children", "size")

    def __init__(self) -> None:
        self.children: dict[float, Node] = {}
        self._closed: set[float] | None = None  # most forks have none, and there are many forks
        self.size = math.inf

    @property
    def closed(self) -> Collection[float]:
        """The values that lead to nothing new."""
        return self._closed or ()

    def settle(self, key: float, closed: bool) -> None:
        """Notes whether a value is closed."""
        if closed and self._closed is None:
            self._closed = {key}
        elif self._closed is not None:
            (self._closed.add if closed else self._closed.discard)(key)

    @property
    def full(self) -> bool:
        """Whether every value is closed."""
        return len(self.closed) >= self.size


class Node:
    """A place in the tree: the parameters that were drawn next, and the trials that ended here.

    A deterministic space draws the same parameter next whenever it comes to the same place; trials
    that were added by hand may have another order.
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
        """Where a value leads, if it was taken before."""
        fork = self.forks.get(name)
        return fork.children.get(key) if fork is not None else None


class Trie:
    """All paths."""

    def __init__(self) -> None:
        self.root = Node()

    def add(self, path: list[Decision]) -> None:
        """Adds a trial."""
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
        """Takes a trial out that was added."""
        nodes = [self.root]
        for name, key, _ in path:
            nodes.append(nodes[-1].forks[name].children[key])
        nodes[-1].ends -= 1
        self._settle(path, nodes)

    @staticmethod
    def _settle(path: list[Decision], nodes: list[Node]) -> None:
        """Closes and opens the nodes of a path, and drops what holds no trial any more."""
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
    """Whether nothing new comes of taking these values wherever their parameters are drawn.

    Args:
        node: Where to begin, such as the root.
        params: Values as Optuna stores them; a parameter that isn't among them is free.
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
