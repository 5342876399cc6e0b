"""ONNX files, which ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from optnas.export.base import Format
from optnas.export.usage import Usage, joined, prepared, shown, variables
from optnas.utils.network import Network, Run
from optnas.utils.network_file import load_network, write_network


class ONNX(Format):
    """Open Neural Network Exchange: graph and weights in one file."""

    name = "onnx"
    runs_with = "ONNX Runtime"
    packages = ("onnx", "onnxruntime")

    def write(self, network: Network, path: Path, facts: Mapping[str, str]) -> None:
        """See `Format`."""
        write_network(network, path, facts)

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Loads the file in ONNX Runtime, on the CPU."""
        return load_network(path)

    def usage(self, use: Usage) -> str:
        """Code for ONNX Runtime and NumPy."""
        read = "np.array(json.loads(facts[{!r}]), dtype=np.float64)"
        given = ", ".join(f"{name!r}: {variable}" for name, variable in variables(use).items())
        return joined(
            "import json\n" if use.moments else "",
            "import numpy as np",
            "import onnxruntime\n",
            f"session = onnxruntime.InferenceSession({use.file!r})",
            "facts = session.get_modelmeta().custom_metadata_map" if use.moments else "",
            *prepared(use, read, "np.zeros({shape}, dtype=np.{type})", "({}).astype(np.float32)"),
            f"outputs = session.run(None, {{{given}}}){'[0]' if use.outputs == 1 else ''}",
            *shown(use, read, "astype(np.float64)"),
        )
