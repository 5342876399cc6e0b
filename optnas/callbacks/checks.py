"""Checks what a tracker is made with."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from optnas.errors import InputError


def check_weights(name: str, weights: str, ways: Sequence[str]) -> None:
    """Raises InputError unless a tracker of this name can do that with weights."""
    if weights not in ("", *ways):
        allowed = " or ".join(map(repr, ways))
        raise InputError(f"weights of {name} must be {allowed}, or '' for none, got {weights!r}")


def check_package(name: str, package: str, extra: str) -> None:
    """Raises InputError if the package that a tracker needs isn't installed; imports nothing."""
    if find_spec(package) is None:
        raise InputError(
            f"{name} needs the package {package}, which isn't installed: "
            f"pip install 'optnas[{extra}]'"
        )
