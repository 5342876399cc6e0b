"""Finds layers and parameters of a network by patterns of their names."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from optnas.errors import InputError
from optnas.search_spaces.lora.layers import is_conv1d

SHOWN = 30
"""The largest number of names in an error."""


def as_patterns(setting: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """One pattern or several, as a tuple.

    Raises:
        TypeError: They are no texts.
    """
    patterns = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f"{setting} must be names or patterns of names, got {given!r}")
    return patterns


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern matches a name, or the end of it that begins after a dot."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def linear_layers(model: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Module]:
    """The linear layers that patterns match, by name, in the network's order.

    Raises:
        InputError: There are no patterns, or one matches no layer that an adapter fits.
    """
    packed = {n: m for n, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)}
    layers = {
        name: module
        for name, module in model.named_modules()
        if (isinstance(module, nn.Linear) or is_conv1d(module))
        and not any(name.startswith(f"{attention}.") or not attention for attention in packed)
    }
    for pattern in patterns or [""]:
        if not any(matches(name, pattern) for name in layers):
            raise InputError(
                f"targets: {pattern!r} matches no linear layer of the {type(model).__name__}; "
                f"there {_are(list(layers), 'are')}"
                + (
                    f". The projections of {_listed(list(packed))} (nn.MultiheadAttention) lie in "
                    "one tensor and aren't called as layers, so they can have no adapter: take "
                    "another attention, with a linear layer for each of them"
                    if packed
                    else ""
                )
            )
    return {n: m for n, m in layers.items() if any(matches(n, pattern) for pattern in patterns)}


def parameters_of(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """The names of the parameters that patterns match, or that lie in modules that they match.

    A parameter that several modules share has a name in each of them.

    Raises:
        InputError: A pattern matches none.
    """
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]

    def fits(name: str, pattern: str) -> bool:
        parts = name.split(".")
        return any(matches(".".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))

    for pattern in patterns:
        if not any(fits(name, pattern) for name in names):
            tops = [name for name, _ in model.named_children()] or names
            raise InputError(
                f"train: {pattern!r} matches no module and no parameter of the "
                f"{type(model).__name__}; there {_are(tops, 'are')}, and what is in them"
            )
    return [name for name in names if any(fits(name, pattern) for pattern in patterns)]


def _are(names: Sequence[str], verb: str) -> str:
    return f"{verb} {_listed(names)}" if names else f"{verb} none"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name or "the network itself" for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
