"""A network's file in the place of the network: a PyTorch module that ONNX Runtime computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from optnas.errors import NetworkError
from optnas.utils.inputs import is_one_example, shapes_of
from optnas.utils.int8 import batches
from optnas.utils.network import Network, Run, first_line, outputs_of
from optnas.utils.signature import as_form, named_inputs, only_tensors
from optnas.utils.trees import map_leaves


class FileNetwork(nn.Module):
    """Runs a file as if it were the network: what scores a network can score its file.

    It computes on the CPU; outputs are on the device of the inputs. Gradients don't flow.

    Args:
        run: The loaded file.
        network: What is in the file.

    Raises:
        NetworkError: The network returns something else than tensors in plain containers, so its
            file can't stand for it.
    """

    def __init__(self, run: Run, network: Network) -> None:
        super().__init__()
        self._run = run
        self._network = network
        outputs = outputs_of(network.model, network.inputs)
        if only_tensors(outputs) is not outputs:
            raise NetworkError(
                f"the network returns a {type(outputs).__name__}, of which its file has only the "
                "tensors, so the file can't be scored like the network: let the network return a "
                "tensor, or a tuple or dictionary of tensors"
            )
        self._form = outputs

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:
        """The outputs, in the form that the network's have."""
        inputs = named_inputs(self._network.inputs)
        given = kwargs or dict(zip(inputs, args, strict=True))
        device = next(iter(given.values())).device
        tensors = {
            name: given[name].to("cpu", one.dtype).contiguous() for name, one in inputs.items()
        }
        only = self._network.batch_size if is_one_example(self._network.inputs) else None
        parts: list[dict[str, Tensor]] = []
        for batch, number in batches(tensors, only) if only else [(tensors, None)]:
            try:
                found = self._run(as_form(self._network.inputs, dict(named_inputs(batch))))
            except Exception as error:
                raise NetworkError(
                    f"the network's file can't run inputs of the shapes {shapes_of(batch)} "
                    f"({first_line(error)}); it was written for {shapes_of(inputs)}, with any "
                    "number of examples unless `batch_size=` is given"
                ) from error
            parts.append({k: t[:number] if number != only else t for k, t in found.items()})
        names = iter(parts[0])

        def joined(_: Tensor) -> Tensor:
            name = next(names)
            return (parts[0][name] if len(parts) == 1 else torch.cat([p[name] for p in parts])).to(
                device
            )

        return map_leaves(joined, self._form)
