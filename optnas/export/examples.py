"""Inputs for which the outputs of a network and of its file are compared.

Equal inputs would test little: a graph that ignores all but one row passes. So they are distinct
examples of the data, or drawn from the range of each input.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from optnas.datasets.dataset import Dataset, Loaders
from optnas.utils.inputs import Inputs, batch_of, call, in_order, map_inputs
from optnas.utils.signature import as_form, named_inputs, named_outputs

SEARCHED = 1024
"""Distinct examples are looked for among this number of the data's first."""


def examples(
    data: Dataset | Loaders | None,
    inputs: Inputs,
    number: int,
    model: nn.Module | None = None,
) -> tuple[Inputs, str]:
    """Inputs to compare outputs for.

    Args:
        data: The data; its validation part is used if its examples have the right shape.
        inputs: One batch element.
        number: Number of examples.
        model: The network, which is run to find the range of integers; without it, they are those
            from 0 to the largest one in `inputs`.

    Returns:
        The inputs, and what they are, in words.
    """
    found = _validation_examples(data)
    if found is not None and _shapes(found) == _shapes(inputs):
        distinct = _distinct(found)
        if len(distinct) > 1:
            picked = distinct[torch.arange(number) % len(distinct)]
            ours = named_inputs(found)
            tensors = {
                k: ours[k][picked].to("cpu", t.dtype) for k, t in named_inputs(inputs).items()
            }
            said = f"{min(number, len(distinct))} distinct validation examples"
            return as_form(inputs, tensors), said
    generator = torch.Generator().manual_seed(0)
    names = _names(inputs, model)
    given = named_inputs(inputs)
    repeated = named_inputs(batch_of(given, number))
    drawn: dict[str, Tensor] = {}
    words = []
    for key, name in zip(given, names, strict=True):
        drawn[key], said = _drawn(
            key, name, {**repeated, **drawn}, given[key], generator, inputs, model
        )
        words.append(f"{name}: {said}" if len(given) > 1 or name != key else said)
    return as_form(inputs, drawn), f"random inputs ({'; '.join(words)})"


def _drawn(
    key: str,
    name: str,
    others: Mapping[str, Tensor],
    one: Tensor,
    generator: torch.Generator,
    inputs: Inputs,
    model: nn.Module | None,
) -> tuple[Tensor, str]:
    """Examples of one input, and what they are, in words.

    Args:
        key: Its key among the inputs.
        name: Its name.
        others: Batches of all inputs.
        one: One batch element of it.
        generator: What they are drawn with.
        inputs: One batch element of all, for their form.
        model: The network.
    """
    if one.ndim == 0:
        return one, "the number of the example input"
    number = len(others[key])

    def works(tensor: Tensor) -> bool:
        return model is None or _runs(model, as_form(inputs, {**others, key: tensor}))

    if "mask" in name.lower() or one.dtype == torch.bool:
        found = _padded(one, number, generator)
        if works(found):
            return found, "ones, then padding"
    elif one.is_floating_point():
        found, said = _floats(one, number, generator)
        if works(found):
            return found, said
    elif not one.is_complex():
        low = min(0, int(one.min())) if one.numel() else 0
        for size in _sizes(one, model):
            shape = (number, *one.shape[1:])
            found = torch.randint(low, max(size, low + 1), shape, generator=generator).to(one.dtype)
            if works(found):
                return found, f"whole numbers from {low} to {max(size, low + 1) - 1}"
    picked = torch.rand(number, one[0].numel(), generator=generator).argsort(1)
    mixed = one.flatten()[picked].reshape(number, *one.shape[1:])
    if works(mixed):
        return mixed, "the values of the example input in other orders"
    return others[key], "the example input, again and again"


def _sizes(one: Tensor, model: nn.Module | None) -> list[int]:
    """Numbers of values that an input of integers may have, the largest first.

    Lookups of embeddings fail if a number is too large, so the first that works is the range. Where
    nothing is looked up, any number works.
    """
    largest = int(one.max()) + 1 if one.numel() else 1
    if model is None:
        return [max(2, largest)]
    tables = {m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)}
    rows = {len(p) for p in model.parameters() if p.dim() == 2}
    limit = torch.iinfo(one.dtype).max
    sizes = {size for size in tables or rows if size <= limit} | {max(2, largest)}
    return sorted(sizes, reverse=True)


def _floats(one: Tensor, number: int, generator: torch.Generator) -> tuple[Tensor, str]:
    shape = (number, *one.shape[1:])
    low, high = (float(one.min()), float(one.max())) if one.numel() else (0.0, 0.0)
    if low < high:
        found = torch.rand(shape, generator=generator) * (high - low) + low
        return found.to(one.dtype), f"numbers between {low:.4g} and {high:.4g}"
    return torch.randn(shape, generator=generator).to(one.dtype), "normally distributed numbers"


def _padded(one: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Masks: ones, and after them zeros in all but the first example."""
    length = one.shape[-1] if one.dim() > 1 else 1
    shape = (number, *one.shape[1:])
    if length == 1:
        return torch.ones(shape).to(one.dtype)
    ends = torch.randint(1, length, (number,), generator=generator)
    ends[0] = length
    ends = ends.reshape(number, *[1] * (one.dim() - 1))
    return (torch.arange(length) < ends).expand(shape).to(one.dtype).contiguous()


def _runs(model: nn.Module, inputs: Inputs) -> bool:
    """Whether a network has finite outputs for a batch: others would compare as equal."""
    try:
        with torch.no_grad():
            outputs = named_outputs(call(model, inputs))
    except Exception:
        return False
    floats = [t for t in outputs.values() if t.is_floating_point() and t.numel()]
    return not floats or any(bool(t.isfinite().any()) for t in floats)


def _names(inputs: Inputs, model: nn.Module | None) -> list[str]:
    """What the inputs are called in the network's code."""
    keys = list(named_inputs(inputs))
    if model is None or isinstance(inputs, Mapping):
        return keys
    forward: Callable[..., Any] = model.forward
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in inspect.signature(forward).parameters.values() if p.kind in kinds]
    return names[: len(keys)] if len(names) >= len(keys) else keys


def _shapes(inputs: Inputs) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape[1:]) for name, tensor in named_inputs(inputs).items()}


def _distinct(found: Inputs) -> Tensor:
    """The numbers of the examples that differ, in their order."""
    flat = [tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None] for tensor in in_order(found)]
    rows = flat[0] if len(flat) == 1 else torch.cat([tensor.double() for tensor in flat], 1)
    _, groups = rows.unique(dim=0, return_inverse=True)
    first = {int(group): row for row, group in reversed(list(enumerate(groups.tolist())))}
    return torch.tensor(sorted(first.values()))


def _validation_examples(data: Dataset | Loaders | None) -> Inputs | None:
    if isinstance(data, Dataset):
        return map_inputs(lambda tensor: tensor[:SEARCHED], data.val[0])
    if isinstance(data, Loaders):
        return _first_examples(data.val, SEARCHED)
    return None


def _first_examples(loader: DataLoader[tuple[Tensor, Tensor]], number: int) -> Tensor | None:
    batches: list[Tensor] = []
    for batch in islice(loader, number):
        if not isinstance(batch, (tuple, list)) or not isinstance(batch[0], Tensor):
            return None  # of a form that an own loss understands
        batches.append(batch[0])
        if sum(map(len, batches)) >= number or len(batches) >= 16:
            break
    return torch.cat(batches)[:number] if batches else None
