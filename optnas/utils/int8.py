"""Post-training static quantisation: a network's ONNX file with 8-bit weights and activations.

ONNX Runtime does it (`onnxruntime.quantization`). A float network is run on examples, which shows
the range of each activation (calibration). Weights become integers from -64 to 64, which take eight
bits, with a scale for each output channel; activations become integers from 0 to 255 with a scale
and a zero point for each tensor, and biases 32-bit integers (Jacob et al., Quantization and
training of neural networks for efficient integer-arithmetic-only inference, CVPR 2018, arXiv
1712.05877). The file has them as `QuantizeLinear` and `DequantizeLinear` around operators of
float32 (QDQ), which runtimes fuse.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from optnas.errors import InputError, NetworkError
from optnas.utils.inputs import Inputs, in_order, is_one_example, map_inputs
from optnas.utils.network import Network, first_line
from optnas.utils.network_file import write_network
from optnas.utils.onnx_file import import_onnxruntime, without_remarks
from optnas.utils.signature import named_inputs

NEEDED_BY = "int8"
EXAMPLES = 256
"""Training examples for the calibration."""
METHOD = "each range from the least to the greatest value (MinMax)"
WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gather", "Gemm", "MatMul")
BETWEEN = ("Clip", "LeakyRelu", "MaxPool", "Relu")
"""Operators between those with weights, which need no other scale. The rest stays in float32: it
holds no weights, and 8-bit sums and products cost decoders accuracy. One of `studies/gpt_char.py`
with 628,928 parameters, after 2 epochs of 12,000 characters, had a val_loss of 2.494 in float32, of
2.493 so, and of 2.639 with `Add` as well."""
BATCH_SIZE = 32
"""Examples that are run at once."""


@dataclass(frozen=True)
class Calibration:
    """Examples that show the ranges of a network's activations.

    Attributes:
        inputs: The examples, in the form that the network takes; the first dimension counts them.
        words: What they are, in words.
    """

    inputs: Inputs
    words: str


@dataclass(frozen=True)
class Int8Weights:
    """What became of a network's numbers.

    Attributes:
        int8: Number of weights that are 8-bit integers.
        others: Number of those that stayed as they were, of biases, and of constants.
    """

    int8: int
    others: int

    def __str__(self) -> str:
        return f"{self.int8:,} of {self.int8 + self.others:,} numbers are 8-bit integers"


def int8_version() -> str:
    """ONNX Runtime's version; raises InputError if it isn't installed."""
    return str(import_onnxruntime(NEEDED_BY).__version__)


def write_int8(
    network: Network, calibration: Calibration, path: Path, facts: Mapping[str, str]
) -> None:
    """Writes a network with 8-bit weights and activations as an ONNX file.

    The same network and examples give the same file, byte by byte. Its size depends on neither
    weights nor examples.

    Args:
        network: The network.
        calibration: The examples.
        path: The file.
        facts: Texts to store in the file, by name.

    Raises:
        NetworkError: The network can't be written or quantised.
        InputError: Packages are missing.
    """
    inputs = calibration.inputs
    # A graph's nodes and edges, say, are no batch that could be cut.
    cut = is_one_example(network.inputs)
    feeds = (
        {name: tensor.numpy() for name, tensor in named_inputs(batch).items()}
        for batch, _ in (batches(inputs, network.batch_size) if cut else [(inputs, 1)])
    )
    with TemporaryDirectory(prefix="optnas.int8.") as folder:
        plain = Path(folder) / "float.onnx"
        write_network(network, plain, facts)
        quantize(plain, path, feeds)


def batches(inputs: Inputs, only: int | None) -> Iterator[tuple[Inputs, int]]:
    """Batches of examples, each with the number of those that aren't there to fill it.

    Args:
        inputs: The examples.
        only: The only size that batches may have: the last one is filled with the first examples.
            None for any size.
    """
    number = len(next(t for t in in_order(inputs) if t.ndim))
    size = only or BATCH_SIZE
    for start in range(0, number, size):
        rows = torch.arange(start, start + size if only else min(start + size, number)) % number

        def chosen(tensor: Tensor, rows: Tensor = rows) -> Tensor:
            return tensor[rows] if tensor.ndim else tensor  # one without dimensions is shared

        yield map_inputs(chosen, inputs), min(size, number - start)


def quantize(source: Path, path: Path, feeds: Iterable[Mapping[str, Any]]) -> None:
    """Quantises an ONNX file.

    Args:
        source: The file with the float network.
        path: The file to write.
        feeds: NumPy arrays to calibrate with, by the names of the inputs, batch by batch.

    Raises:
        NetworkError: ONNX Runtime can't quantise it.
        InputError: ONNX Runtime isn't installed.
    """
    import_onnxruntime(NEEDED_BY)
    with TemporaryDirectory(prefix="optnas.int8.") as folder:
        prepared, written = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        try:
            with without_remarks():
                _quantize(source, prepared, written, feeds)
                _tidy(written, path)
        except InputError:
            raise
        except OSError:
            raise  # a full disk is no property of the network
        except Exception as error:
            raise NetworkError(
                f"ONNX Runtime can't quantise this network ({first_line(error)}): take it in "
                'float32 (`format="onnx"`)'
            ) from error


def _quantize(
    source: Path, prepared: Path, written: Path, feeds: Iterable[Mapping[str, Any]]
) -> None:
    # They take half a second to import.
    from onnxruntime.quantization import QuantFormat, QuantType, quant_pre_process, quantize_static

    # The exporter has stored the shapes; so they need not be inferred from symbols.
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(written),
        _Feeds(feeds),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=[*WITH_WEIGHTS, *BETWEEN],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        # Weights from -64 to 64: on CPUs without VNNI the sums of two products of bytes saturate
        # otherwise. A network of `studies/digits_cnn.py` had a val_loss of 0.596 then, of 0.437 so,
        # and of 0.438 in float32. So the outputs depend on the CPU no longer.
        reduce_range=True,
    )


class _Feeds:
    """Gives ONNX Runtime one batch after the other (its `CalibrationDataReader`)."""

    def __init__(self, feeds: Iterable[Mapping[str, Any]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        feed = next(self._feeds, None)
        return None if feed is None else dict(feed)


def _tidy(written: Path, path: Path) -> None:
    """Writes the file without remarks of the tools, and with numbers as bytes.

    Small numbers would otherwise take one byte or ten, depending on their sign.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(written)
    graph = model.graph
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.value_info[:]
    used = {node.domain for node in graph.node}
    for at in reversed(range(len(model.opset_import))):
        if model.opset_import[at].domain not in used:
            del model.opset_import[at]
    for tensor in graph.initializer:
        if not tensor.HasField("raw_data"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, path)


def count_weights(path: Path) -> Int8Weights:
    """Counts the numbers in a file that `quantize` wrote, without scales and zero points."""
    import onnx

    int8 = others = 0
    for tensor in onnx.load(path).graph.initializer:
        if tensor.name.endswith(("_zero_point", "_scale")):
            continue
        if tensor.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8):
            int8 += math.prod(tensor.dims)
        else:
            others += math.prod(tensor.dims)
    return Int8Weights(int8, others)
