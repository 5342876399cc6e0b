"""One form for all graphs that differ in the numbers of their nodes alone."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

Edge = tuple[str, int]
"""A label, and the number of the node or input that the edge comes from."""
Node = tuple[Edge, ...]
"""The edges that lead to a node, in any order; there may be several equal ones."""
Key = tuple[tuple[int, str], ...]


def canonical_graph(nodes: Sequence[Node], inputs: int) -> tuple[Node, ...]:
    """Renumbers the nodes of a graph, so that isomorphic graphs become equal.

    Graphs are isomorphic if some renumbering of the nodes, under which the inputs keep their
    numbers, makes each node's edges those of the other graph's node.

    The form is the lexicographically smallest of all that list a node after those that it reads. It
    is found node by node. Where several nodes could come next with equal edges, each choice is
    followed, until two of them leave the same rest.

    Example:
        ```python
        from optnas.search_spaces.isomorphism import canonical_graph

        one = [(("a", 0),), (("b", 0),), (("c", 2), ("c", 1))]
        other = [(("b", 0),), (("a", 0),), (("c", 1), ("c", 2))]
        assert canonical_graph(one, inputs=1) == canonical_graph(other, inputs=1)
        ```

    Args:
        nodes: The graph. Node i has the number `inputs + i`, and a node reads lower numbers only.
        inputs: The number of inputs, whose numbers are 0, 1, ….

    Returns:
        The nodes in their new order, the edges of each by source and label.
    """
    chosen: list[Key] = []
    orders = [{i: i for i in range(inputs)}]  # new numbers by old ones
    for number in range(inputs, inputs + len(nodes)):
        following: dict[Key, dict[Hashable, dict[int, int]]] = {}
        for order in orders:
            for i, node in enumerate(nodes, inputs):
                if i not in order and all(source in order for _, source in node):
                    extended = {**order, i: number}
                    same = following.setdefault(_key(node, order), {})
                    same[_rest(nodes, inputs, extended)] = extended
        least = min(following)
        chosen.append(least)
        orders = list(following[least].values())
    return tuple(tuple((label, source) for source, label in key) for key in chosen)


def _key(node: Node, order: dict[int, int]) -> Key:
    return tuple(sorted((order[source], label) for label, source in node))


def _rest(nodes: Sequence[Node], inputs: int, order: dict[int, int]) -> Hashable:
    """What is left to number; nodes that have no new number yet count by their old one."""
    numbers = {i: order.get(i, ~i) for i in range(inputs + len(nodes))}
    return tuple((i, _key(node, numbers)) for i, node in enumerate(nodes, inputs) if i not in order)
