"""Safetensors files, which hold only weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from optnas.errors import InputError
from optnas.export.base import Format
from optnas.export.usage import Usage, joined, torch_call
from optnas.utils.network import Network, Run, runner
from optnas.utils.weights_file import load_into, save_weights


class Safetensors(Format):
    """Only weights: loading them needs the network's own code."""

    name = "safetensors"
    runs_with = "the network's own code"
    packages = ("safetensors",)

    def write(self, network: Network, path: Path, facts: Mapping[str, str]) -> None:
        """See `Format`; the facts are the file's metadata. Any batch size fits."""
        try:
            save_weights(network.model.state_dict(), path, facts, plain=True)
        except InputError as error:
            raise InputError(f'{error}: try `format="pt2"` or `format="onnx"`') from error

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Loads the weights into a new network."""
        model = fresh()
        load_into(model, path)
        return runner(model.eval())

    def usage(self, use: Usage) -> str:
        """Code for PyTorch and the network's own code."""
        return joined(
            "import json\n" if use.moments else "",
            "import optnas",
            "import optuna",
            "import torch",
            "from safetensors import safe_open" if use.moments else "",
            "from safetensors.torch import load_file\n",
            use.make,
            f"weights = load_file({use.file!r})",
            *(f"weights[{name!r}] = weights[{first!r}]" for name, first in use.ties.items()),
            "model.load_state_dict(weights)",
            "model.eval()",
            f'with safe_open({use.file!r}, "pt") as file:' if use.moments else "",
            "    facts = file.metadata()" if use.moments else "",
            *torch_call(use),
        )
