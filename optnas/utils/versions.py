"""Versions of installed packages."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec


def has_onnx() -> bool:
    """Whether the extra onnx is installed."""
    return all(map(find_spec, ("onnx", "onnxscript", "onnxruntime")))


def version_of(package: str) -> str:
    """The version of an installed package, by the name it is imported under.

    Some packages are distributed under several names: `onnxruntime` also as `onnxruntime-gpu`.

    Raises:
        importlib.metadata.PackageNotFoundError: It isn't installed.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        distributions = packages_distributions().get(package)
        if not distributions:
            raise
        return version(distributions[0])


def versions(*packages: str) -> dict[str, str]:
    """The versions of optnas, PyTorch, these packages and Python, by name."""
    found = {name: version_of(name) for name in ("optnas", "torch", *packages)}
    return found | {"python": platform.python_version()}
