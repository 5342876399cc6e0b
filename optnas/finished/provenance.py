"""Where a network comes from: facts that stay with its weights."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version

from torch import Tensor

from optnas.datasets.dataset import Dataset, Loaders


def moments(data: Dataset | Loaders | None) -> dict[str, str]:
    """Mean and standard deviation that the data was normalised with, as JSON.

    Returns:
        `x_mean` and `x_std` for examples, `y_mean` and `y_std` for targets, each where there was
        something to normalise; nothing for data that is normalised out of optnas's sight.
    """
    found: dict[str, str] = {}
    if isinstance(data, Dataset):
        for name, (mean, std) in (("x", data.x_moments), ("y", data.y_moments)):
            if bool((mean != 0).any()) or bool((std != 1).any()):
                found |= {f"{name}_mean": _json(mean), f"{name}_std": _json(std)}
    return found


def versions(*packages: str) -> dict[str, str]:
    """The versions of optnas, PyTorch, Python and these packages."""
    found = {name: version(name) for name in ("optnas", "torch", *packages)}
    return found | {"python": platform.python_version()}


def _json(tensor: Tensor) -> str:
    """A float32 comes back from it as it was; of one element, a number."""
    return json.dumps(tensor.item() if tensor.numel() == 1 else tensor.tolist())
