"""The file formats by name."""

from __future__ import annotations

from optnas.export.base import Format
from optnas.export.onnx import ONNX
from optnas.export.onnx_int8 import ONNXInt8
from optnas.export.pt2 import PT2
from optnas.export.safetensors import Safetensors

FORMATS: dict[str, Format] = {f.name: f for f in (ONNX(), ONNXInt8(), PT2(), Safetensors())}
