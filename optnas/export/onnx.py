"""ONNX files, which ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from optnas.errors import InputError
from optnas.export.base import Format, Network, Run, first_line, runner
from optnas.export.dynamic import traced_batch
from optnas.export.signature import named_inputs
from optnas.export.tracing import trace
from optnas.export.usage import Usage, joined, prepared, shown, variables
from optnas.utils.inputs import Inputs
from optnas.utils.onnx_file import import_onnxruntime, write_onnx

NEEDED_BY = "writing ONNX"


class ONNX(Format):
    """Open Neural Network Exchange: graph and weights in one file."""

    name = "onnx"
    runs_with = "ONNX Runtime"
    packages = ("onnx", "onnxruntime")

    def write(self, network: Network, path: Path, facts: Mapping[str, str]) -> None:
        """See `Format`; `optnas.export.signature` names inputs and outputs."""
        import_onnxruntime(NEEDED_BY)  # needed to check the file afterwards
        batch, shapes = traced_batch(network)
        program = trace(network)
        try:
            write_onnx(
                program,
                batch,
                path,
                names=list(named_inputs(network.inputs)),
                shapes=shapes,
                outputs=list(runner(network.model)(batch)),
                metadata=facts,
            )
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"this network can't be written as ONNX ({first_line(error)}): try "
                '`format="pt2"` or `format="safetensors"`'
            ) from error

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Loads the file in ONNX Runtime, on the CPU."""
        session = import_onnxruntime(NEEDED_BY).InferenceSession(
            path.read_bytes(), providers=["CPUExecutionProvider"]
        )
        outputs = [given.name for given in session.get_outputs()]

        def run(inputs: Inputs) -> dict[str, Tensor]:
            feed = {name: tensor.numpy() for name, tensor in named_inputs(inputs).items()}
            found = session.run(outputs, feed)
            return dict(zip(outputs, map(torch.from_numpy, found), strict=True))

        return run

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
