"""The data of a drawing: a network's blocks, in the order of their calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from torch import nn

from optnas.drawings.labels import described, is_small, small_name
from optnas.metrics.counting import ModuleCount, count_modules
from optnas.metrics.params import count_params
from optnas.search_spaces.cell.operations import FactorizedReduction
from optnas.search_spaces.mobile.layers import SqueezeExcitation
from optnas.search_spaces.transformer.modules import Attention
from optnas.utils.inputs import Inputs

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_UNSEEN = (nn.Identity, nn.Flatten, nn.Unflatten, *_CONTAINERS)
"""Modules that neither compute nor hold anything."""
_WHOLE = (nn.MultiheadAttention, nn.RNNBase, SqueezeExcitation, Attention, FactorizedReduction)
"""Modules that are drawn as one layer, children included."""
_SKIPS = {"skip", "shortcut", "residual", "downsample"}
"""Usual names of the path around a block."""


class Block(NamedTuple):
    """A layer with the small layers around it: normalisation, activation, dropout.

    Attributes:
        kind: The kind of layer, which decides the colour: `conv`, `depthwise conv`, `linear`,
            `attention`, `recurrent`, `embedding`, `pool` or `other`.
        title: The operation and its size.
        after: Short names of the small layers.
        output: Shape of its output, without the batch dimension.
        params: Elements of all its parameters.
        macs: Multiply-accumulates.
        path: Path of the layer in the model.
        times: Number of equal blocks in a row.
    """

    kind: str
    title: str
    after: tuple[str, ...]
    output: tuple[int, ...]
    params: int
    macs: int
    path: str
    times: int = 1


class Stage(NamedTuple):
    """The blocks of one module of the model.

    Attributes:
        path: Path of the module; empty for the model itself.
        blocks: Its blocks.
        times: Number of equal stages in a row.
    """

    path: str
    blocks: tuple[Block, ...]
    times: int = 1


class ArchitectureDrawing(NamedTuple):
    """The data of a network's drawing.

    Attributes:
        name: The title.
        stages: The stages, in the order of their first call.
        params: Elements of all parameters of the network.
        macs: Multiply-accumulates of the network.
    """

    name: str
    stages: tuple[Stage, ...]
    params: int
    macs: int


class _Layer(NamedTuple):
    """A module that computes or holds something itself; a small one is folded into another."""

    path: str
    stage: str
    module: nn.Module
    output: tuple[int, ...]
    params: int
    macs: int
    small: bool


def drawing(model: nn.Module, example_inputs: Inputs, name: str = "") -> ArchitectureDrawing:
    """Reads the data of a network's drawing from one inference pass.

    Args:
        model: Any network; it stays unchanged, because a copy is run.
        example_inputs: One batch element.
        name: The title.
    """
    counts = count_modules(model, example_inputs)
    by_stage = groupby(_layers(model, counts), key=lambda layer: layer.stage)
    stages = (Stage(path, tuple(_merged(_blocks(list(layers))))) for path, layers in by_stage)
    return ArchitectureDrawing(
        name=name,
        stages=tuple(_merged(stages)),
        params=count_params(model),
        macs=sum(count.macs for count in counts.values()),
    )


def _layers(model: nn.Module, counts: Mapping[str, ModuleCount]) -> Iterator[_Layer]:
    """The modules that compute or hold something, in the order of their first call."""
    modules = dict(model.named_modules())
    seen: set[int] = set()
    whole: list[str] = []
    for path in sorted(counts, key=lambda path: counts[path].order or len(counts)):
        module, count = modules[path], counts[path]
        if any(path.startswith(outer) for outer in whole):
            continue
        inside = [path]
        if isinstance(module, _WHOLE):
            whole.append(f"{path}." if path else "")
            inside = [other for other in counts if other == path or other.startswith(whole[-1])]
        params = 0
        for p in (p for at in inside for p in modules[at].parameters(recurse=False)):
            params += 0 if id(p) in seen else p.numel()
            seen.add(id(p))
        macs = sum(counts[other].macs for other in inside)
        leaf = next(module.children(), None) is None
        outer, _, name = path.rpartition(".")
        # A cell shows each chosen operation, also one that does nothing.
        listed = isinstance(modules.get(outer), (nn.ModuleList, nn.ModuleDict))
        chosen = leaf and listed and not params
        visible = chosen or name in _SKIPS or not isinstance(module, _UNSEEN)
        if params or macs or (leaf and count.calls and visible):
            small = is_small(module) and not macs and not chosen
            stage = _stage(modules, path)
            yield _Layer(path, stage, module, count.output[1:], params, macs, small)


def _stage(modules: dict[str, nn.Module], path: str) -> str:
    """Path of the innermost module around a layer that isn't a container; empty for the model."""
    while path:
        path = path.rpartition(".")[0]
        if not isinstance(modules[path], _CONTAINERS):
            break
    return path


def _blocks(layers: Sequence[_Layer]) -> Iterator[Block]:
    """Folds small layers into the block before, or into the next one at the start of a branch."""
    block: Block | None = None
    parent = ""
    waiting: list[_Layer] = []
    leading = 0  # small layers before the block's own
    for i, layer in enumerate(layers):
        own = layer.path.rpartition(".")[0]
        if layer.small:
            around = own in (parent, "") or parent.startswith(f"{own}.")
            if block is not None and (around or not _has_more(layers[i:], own)):
                block = _followed(block, [layer])
            else:
                waiting.append(layer)
        elif block and own == parent and _is_separable(block, layer, leading):
            title = f"separable {block.title.removeprefix('depthwise ')}"
            block = _plus(block, layer)._replace(title=title)
        else:
            if block is not None:
                yield block
            block, parent, leading = _followed(_block(layer), waiting), own, len(waiting)
            waiting = []
    if block is not None:
        yield block
    elif waiting:
        first, *rest = waiting
        yield _followed(_block(first), rest)


def _block(layer: _Layer) -> Block:
    kind, title = described(layer.module)
    if _SKIPS.intersection(layer.path.removeprefix(layer.stage).split(".")) and title != "skip":
        title = f"skip {title}"
    return Block(kind, title, (), layer.output, layer.params, layer.macs, layer.path)


def _plus(block: Block, layer: _Layer) -> Block:
    return block._replace(
        output=layer.output or block.output,
        params=block.params + layer.params,
        macs=block.macs + layer.macs,
    )


def _followed(block: Block, layers: Sequence[_Layer]) -> Block:
    """The block with small layers folded into it."""
    for layer in layers:
        output = block.output
        block = _plus(block, layer)._replace(
            output=output, after=(*block.after, small_name(layer.module))
        )
    return block


def _has_more(layers: Sequence[_Layer], parent: str) -> bool:
    """Whether a layer that isn't small follows in the same module."""
    return any(x.path.rpartition(".")[0] == parent and not x.small for x in layers)


def _is_separable(block: Block, layer: _Layer, leading: int) -> bool:
    """Whether a layer is a 1×1 convolution that directly follows a depthwise one.

    The block's first `leading` small layers come before the depthwise one.
    """
    return (
        block.title.startswith("depthwise ")
        and len(block.after) == leading
        and described(layer.module) in (("conv", "conv 1×1"), ("conv", "conv 1"))
    )


Named = TypeVar("Named", Block, Stage)


def _merged(found: Iterable[Named]) -> Iterator[Named]:
    """Merges equal neighbours, whatever their paths, and counts them in `times`."""
    for _, equal in groupby(found, key=_without_path):
        first, *others = equal
        yield first._replace(times=first.times + len(others))


def _without_path(item: Block | Stage) -> object:
    if isinstance(item, Block):
        return item._replace(path="", times=1)
    return [block._replace(path="") for block in item.blocks]
