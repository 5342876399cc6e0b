"""Safetensors files, which hold only weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import load_model, save_model
from torch import nn

from optnas.export.base import Format, Network, Run, runner
from optnas.export.usage import Usage, joined, torch_call


class Safetensors(Format):
    """Only weights: loading them needs the network's own code."""

    name = "safetensors"
    runs_with = "the network's own code"
    packages = ("safetensors",)

    def write(self, network: Network, path: Path, facts: Mapping[str, str]) -> None:
        """See `Format`; the facts are the file's metadata. Any batch size fits."""
        save_model(network.model, str(path), dict(facts))

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Loads the weights into a new network."""
        model = fresh()
        load_model(model, path)
        return runner(model.eval())

    def usage(self, use: Usage) -> str:
        """Code for PyTorch and the network's own code."""
        return joined(
            "import json\n" if use.moments else "",
            "import optnas",
            "import optuna",
            "import torch",
            "from safetensors import safe_open" if use.moments else "",
            "from safetensors.torch import load_model\n",
            use.make,
            f"load_model(model, {use.file!r})",
            "model.eval()",
            f'with safe_open({use.file!r}, "pt") as file:' if use.moments else "",
            "    facts = file.metadata()" if use.moments else "",
            *torch_call(use),
        )
