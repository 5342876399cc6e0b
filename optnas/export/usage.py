"""Code that runs a network's file, for its model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

FACTS = "optnas.json"
"""The file inside a .pt2 archive that holds the facts."""


@dataclass(frozen=True)
class Usage:
    """What such code must know.

    Attributes:
        file: Name of the file.
        inputs: One batch element, by name.
        by_name: Whether the network takes them by name.
        outputs: How many outputs the network has.
        batch_size: Of the examples that it shows.
        task: `classification` or `regression`; empty where that isn't known.
        moments: What inputs and targets were normalised with, by the names in the file.
        make: Lines that make the network `model`, with weights of no use.
    """

    file: str
    inputs: Mapping[str, Tensor]
    by_name: bool
    outputs: int
    batch_size: int
    task: str
    moments: Mapping[str, str]
    make: str


def onnx_usage(use: Usage) -> str:
    """Code for ONNX Runtime and NumPy."""
    read = "np.array(json.loads(facts[{!r}]), dtype=np.float32)"
    given = ", ".join(f"{name!r}: {variable}" for name, variable in _variables(use).items())
    return _lines(
        "import json\n" if use.moments else "",
        "import numpy as np",
        "import onnxruntime\n",
        f"session = onnxruntime.InferenceSession({use.file!r})",
        "facts = session.get_modelmeta().custom_metadata_map" if use.moments else "",
        *_prepared(use, read, "np.zeros({shape}, dtype=np.{type})"),
        f"outputs = session.run(None, {{{given}}}){'[0]' if use.outputs == 1 else ''}",
        *_shown(use, read),
    )


def pt2_usage(use: Usage) -> str:
    """Code for PyTorch alone."""
    extra = ", extra_files=files" if use.moments else ""
    return _lines(
        "import json\n" if use.moments else "",
        "import torch\n",
        f'files = {{"{FACTS}": ""}}' if use.moments else "",
        f"model = torch.export.load({use.file!r}{extra}).module()",
        f'facts = json.loads(files["{FACTS}"])' if use.moments else "",
        *_called(use),
    )


def safetensors_usage(use: Usage) -> str:
    """Code for PyTorch and the network's own code."""
    return _lines(
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
        *_called(use),
    )


def _called(use: Usage) -> list[str]:
    read = "torch.tensor(json.loads(facts[{!r}]))"
    given = ", ".join(
        f"{name}={variable}" if use.by_name else variable
        for name, variable in _variables(use).items()
    )
    return [
        *_prepared(use, read, "torch.zeros({shape}, dtype=torch.{type})"),
        "with torch.no_grad():",
        f"    outputs = model({given})",
        *_shown(use, read),
    ]


def _variables(use: Usage) -> dict[str, str]:
    """What the inputs are called in the code."""
    if use.by_name:
        return {name: name for name in use.inputs}
    return {name: name.replace("input", "x").replace("_", "") for name in use.inputs}


def _prepared(use: Usage, read: str, zeros: str) -> list[str]:
    """Lines that make the inputs: raw examples, normalised where the data was."""
    lines = []
    for name, variable in _variables(use).items():
        tensor = use.inputs[name]
        shape = (use.batch_size, *tensor.shape[1:])
        made = zeros.format(shape=shape, type=str(tensor.dtype).removeprefix("torch."))
        lines.append(f"{variable} = {made}  # your examples")
    if "x_mean" in use.moments:
        lines += [f"mean = {read.format('x_mean')}", f"std = {read.format('x_std')}"]
        lines.append("x = (x - mean) / std")
    return lines


def _shown(use: Usage, read: str) -> list[str]:
    """Lines that print what the outputs mean."""
    if use.outputs == 1 and use.task == "classification":
        return ["print(outputs.argmax(1))  # the classes"]
    if use.outputs == 1 and "y_mean" in use.moments:
        return [
            f"mean = {read.format('y_mean')}",
            f"std = {read.format('y_std')}",
            "print(outputs * std + mean)  # in the units of the targets",
        ]
    return ["print(outputs)"]


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
