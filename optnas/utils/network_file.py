"""The ONNX file of a network: written, and run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from optnas.errors import InputError, NetworkError
from optnas.utils.inputs import Inputs
from optnas.utils.network import Network, Run, first_line, runner, traced_batch
from optnas.utils.onnx_file import import_onnxruntime, write_onnx
from optnas.utils.signature import named_inputs
from optnas.utils.tracing import trace

NEEDED_BY = "writing ONNX"


def write_network(network: Network, path: Path, facts: Mapping[str, str]) -> None:
    """Writes graph and weights; `optnas.utils.signature` names inputs and outputs.

    Args:
        network: The network.
        path: The file.
        facts: Texts to store in the file, by name.

    Raises:
        NetworkError: This network can't be written as ONNX.
        InputError: Packages are missing.
    """
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
        raise NetworkError(
            f"this network can't be written as ONNX ({first_line(error)}): try "
            '`format="pt2"` or `format="safetensors"`'
        ) from error


def load_network(path: Path, *, threads: int = 0) -> Run:
    """Loads a file in ONNX Runtime, on the CPU.

    Args:
        path: The file.
        threads: CPU threads that it may use; 0 for as many as there are CPUs.

    Raises:
        NetworkError: ONNX Runtime can't load it.
    """
    onnxruntime = import_onnxruntime(NEEDED_BY)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except OSError:
        raise
    except Exception as error:
        raise NetworkError(
            f"ONNX Runtime can't run this network's file ({first_line(error)})"
        ) from error
    outputs = [given.name for given in session.get_outputs()]

    def run(inputs: Inputs) -> dict[str, Tensor]:
        feed = {name: tensor.numpy() for name, tensor in named_inputs(inputs).items()}
        found = session.run(outputs, feed)
        return dict(zip(outputs, map(torch.from_numpy, found), strict=True))

    return run
