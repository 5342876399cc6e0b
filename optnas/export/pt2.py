"""PT2 archives, the programs of `torch.export`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from optnas.export.base import Format
from optnas.export.usage import Usage, joined, torch_call
from optnas.utils.network import Network, Run, runner
from optnas.utils.onnx_file import without_remarks
from optnas.utils.tracing import trace

FACTS = "optnas.json"
"""The file inside the archive that holds the facts."""


class PT2(Format):
    """A program of `torch.export`: PyTorch runs it without the network's own code."""

    name = "pt2"
    runs_with = "torch.export.load"

    def write(self, network: Network, path: Path, facts: Mapping[str, str]) -> None:
        """See `Format`; the facts are JSON in the archive's file `optnas.json`."""
        program = trace(network)
        with without_remarks():
            torch.export.save(program, path, extra_files={FACTS: json.dumps(dict(facts))})

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Loads the program in PyTorch."""
        with without_remarks():
            module = torch.export.load(path).module()
        return runner(module)

    def usage(self, use: Usage) -> str:
        """Code that needs only PyTorch."""
        extra = ", extra_files=files" if use.moments else ""
        return joined(
            "import json\n" if use.moments else "",
            "import torch\n",
            f'files = {{"{FACTS}": ""}}' if use.moments else "",
            f"model = torch.export.load({use.file!r}{extra}).module()",
            f'facts = json.loads(files["{FACTS}"])' if use.moments else "",
            *torch_call(use),
        )
