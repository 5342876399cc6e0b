"""Which groups, blocks and resolutions of a network are searched."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from optnas.errors import InputError
from optnas.search_spaces.checks import check_choices, check_sizes
from optnas.search_spaces.lora.patterns import as_patterns, matches
from optnas.search_spaces.slim.blocks import Skip, droppable, residual_blocks
from optnas.search_spaces.slim.check import error_text, run
from optnas.search_spaces.slim.slicing import Group
from optnas.utils.inputs import Inputs, shapes_of
from optnas.utils.text import there_are


def chosen_groups(
    model: nn.Module, groups: Sequence[Group], only: Sequence[str] | None, keep: Sequence[str]
) -> list[Group]:
    """The groups that `only` and `keep` leave to be searched.

    Raises:
        InputError: A pattern matches no layer.
    """
    names = [name for group in groups for name in (group.name, *group.layers)]
    for setting, patterns in (("only", only or ()), ("keep", keep)):
        _check_patterns(model, setting, patterns, names, "layer {} whose channels can be removed")

    def named(group: Group, patterns: Sequence[str]) -> bool:
        return any(matches(n, p) for n in (group.name, *group.layers) for p in patterns)

    return [
        group for group in groups if (only is None or named(group, only)) and not named(group, keep)
    ]


def as_depth(given: object) -> bool | tuple[str, ...]:
    """Whether blocks may be left out, or patterns of their names.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(given, bool):
        return given
    if not isinstance(given, (str, Sequence)):
        raise TypeError(f"depth must be True, False, or names or patterns of blocks, got {given!r}")
    return as_patterns("depth", given)


def chosen_blocks(
    model: nn.Module, inputs: Inputs, depth: Sequence[str] | bool
) -> tuple[dict[str, Skip], dict[str, str]]:
    """The blocks that may be left out, and why others can't be (see `droppable`).

    Args:
        model: The network, in evaluation mode; its parameters need gradients.
        inputs: Its example inputs.
        depth: Patterns of names; True for all blocks, False for none.

    Raises:
        InputError: There is no such block, or a pattern matches none.
    """
    if depth is False:
        return {}, {}
    blocks = residual_blocks(model, inputs)
    if depth is not True:
        what = "residual block {} (a module that adds something to its input)"
        _check_patterns(model, "depth", depth, blocks, what)
        blocks = {n: b for n, b in blocks.items() if any(matches(n, p) for p in depth)}
    found, refused = droppable(model, inputs, blocks)
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(refused.items())[:5])
        raise InputError(
            f"depth: no block of this {type(model).__name__} can be left out"
            + (f" ({reasons})" if reasons else "")
            + ". A block is a module of its own that adds something to its input, with an output "
            "of the same shape; leave depth out"
        )
    return found, refused


def _check_patterns(
    model: nn.Module, setting: str, patterns: Sequence[str], names: Iterable[str], what: str
) -> None:
    known = list(dict.fromkeys(names))
    for pattern in patterns:
        if not any(matches(name, pattern) for name in known):
            raise InputError(
                f"{setting}: {pattern!r} matches no "
                + what.format(f"of this {type(model).__name__}")
                + f"; {there_are(pattern, known)}"
            )


def refuse_if_none(model: nn.Module, reasons: Mapping[str, str]) -> None:
    """Raises InputError: nothing of a network is searched.

    Args:
        model: The network.
        reasons: Why groups keep their channels, by name.
    """
    texts = [f"{name}: {reason}" for name, reason in reasons.items()]
    raise InputError(
        f"no layer of this {type(model).__name__} can be slimmed: "
        + ("; ".join(texts[:5]) if texts else "no channels lie between two layers")
        + ". Layers that code of the network's own reshapes or counts keep their channels"
    )


def checked_resolutions(
    model: nn.Module, inputs: Inputs, resolutions: Sequence[int]
) -> tuple[int, ...]:
    """The resolutions, ascending, if the network can take images of them.

    Raises:
        ValueError: They are no sizes.
        InputError: The input is no image, or the network can't take one.
    """
    check_choices("resolutions", resolutions)
    sizes = tuple(sorted(dict.fromkeys(resolutions)))
    if not sizes:
        return ()
    check_sizes("resolutions", sizes)
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or not inputs.is_floating_point():
        raise InputError(
            "resolutions resize images, a tensor of shape (1, channels, height, width), and this "
            f"network's example inputs have {shapes_of(inputs)}: leave resolutions out"
        )
    wanted = [tensor.shape for tensor in run(model, inputs)]
    for size in sizes:
        try:
            found = [tensor.shape for tensor in run(resized(model, size), inputs)]
            reason = "" if found == wanted else "its outputs have other shapes"
        except Exception as error:
            reason = error_text(error)
        if reason:
            raise InputError(
                f"resolutions: this {type(model).__name__} can't take images of {size}×{size} "
                f"({reason}): leave that one out, or give a network that averages over positions "
                "before its last layers, as nn.AdaptiveAvgPool2d(1) does"
            )
    return sizes


def resized(model: nn.Module, size: int) -> nn.Module:
    """A network that resizes its images to a height and width first."""
    layers = OrderedDict(resize=nn.Upsample((size, size), mode="bilinear"), network=model)
    return nn.Sequential(layers)
