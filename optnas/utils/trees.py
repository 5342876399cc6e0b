"""Batches and outputs of any form: containers of tensors, walked by PyTorch's pytrees.

PyTorch opens tuples, lists, dictionaries, named tuples and registered classes, such as the outputs
of transformers. Here dataclasses and classes derived from `dict` and `UserDict` are opened too.
"""

from __future__ import annotations

import copy
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map


@runtime_checkable
class Movable(Protocol):
    """What moves itself to a device: a tensor, a packed sequence, a batch of graphs."""

    def to(self, device: torch.device, /) -> Any:
        """Moves it, or a copy."""


def map_leaves(
    fn: Callable[..., Any],
    tree: Any,
    *others: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Applies a function to what a tree holds, and returns the results in a tree of its form.

    Args:
        fn: Takes a leaf of the tree, and of each other one those in its place.
        tree: Containers of any depth.
        others: Trees of the same form.
        is_leaf: Whether something is a leaf, although it could be opened.

    Raises:
        ValueError: The trees differ in form.
    """

    def at(leaf: Any, *rest: Any) -> Any:
        if is_leaf is not None and is_leaf(leaf):
            return fn(leaf, *rest)
        names = _names(leaf)
        if names is None:
            return fn(leaf, *rest)
        if any(_names(other) != names for other in rest):
            raise ValueError("the trees differ in form")
        parts = {
            name: map_leaves(fn, *(_part(one, name) for one in (leaf, *rest)), is_leaf=is_leaf)
            for name in names
        }
        return _with_parts(leaf, parts)

    return tree_map(at, tree, *others, is_leaf=is_leaf)


def moved(batch: Any, device: torch.device) -> Any:
    """A batch on a device: its tensors, and all else in it that has a method `to`.

    What has none, such as a number or a text, stays as it is.
    """

    def move(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf.to(device, non_blocking=True)
        if not _moves_itself(leaf):
            return leaf
        found = leaf.to(device)
        return leaf if found is None else found  # some classes move their tensors in place

    return map_leaves(move, batch, is_leaf=_moves_itself)


def rows_of(tree: Any) -> int | None:
    """The length that all tensors of a tree have in their first dimension.

    None if there are no such tensors, or if they differ. Tensors without dimensions don't count,
    nor what lies inside of an object that moves itself, unless it is a mapping.
    """
    lengths = {len(leaf) for leaf in _leaves(tree) if isinstance(leaf, Tensor) and leaf.ndim}
    return lengths.pop() if len(lengths) == 1 else None


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """The tensors of a tree: the tensor itself, or those in a container."""
    return (leaf for leaf in _leaves(tree) if isinstance(leaf, Tensor))


def all_tensors_in(tree: Any) -> Iterator[Tensor]:
    """Like `tensors_in`, and those in what moves itself, such as a packed sequence."""
    return (leaf for leaf in _leaves(tree, is_leaf=None) if isinstance(leaf, Tensor))


def holds_tensors(tree: Any) -> bool:
    """Whether a tree is a tensor, or a container with a tensor in it."""
    return any(True for _ in tensors_in(tree))


def _moves_itself(leaf: Any) -> bool:
    return isinstance(leaf, Movable) and not isinstance(leaf, type)


def _leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = _moves_itself) -> Iterator[Any]:
    for leaf in tree_leaves(tree, is_leaf=is_leaf):
        names = _names(leaf)
        if names is None:
            yield leaf
        else:
            parts = (_part(leaf, name) for name in names)
            yield from (found for part in parts for found in _leaves(part, is_leaf))


def _names(leaf: Any) -> list[Any] | None:
    """The names of the parts of a mapping or a dataclass; None for anything else."""
    if isinstance(leaf, (dict, UserDict)):
        return list(leaf)
    if is_dataclass(leaf) and not isinstance(leaf, type):
        return [field.name for field in fields(leaf)]
    return None


def _part(leaf: Any, name: Any) -> Any:
    return leaf[name] if isinstance(leaf, (dict, UserDict)) else getattr(leaf, name)


def _with_parts(leaf: Any, parts: Mapping[Any, Any]) -> Any:
    found = copy.copy(leaf)
    for name, part in parts.items():
        if isinstance(found, (dict, UserDict)):
            found[name] = part
        else:
            object.__setattr__(found, name, part)  # a frozen one, too
    return found
