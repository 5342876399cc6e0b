"""Files of weights: what a model's `state_dict` returns, whatever that is.

Plain tensors are written as safetensors. Other states (nested dictionaries, extra state, sparse or
quantised tensors) are written by `torch.save`, if `torch.load` reads them without running code.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from optnas.errors import InputError

_DTYPES = {
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.complex64,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
}
"""What the oldest supported safetensors has."""
_ZIP = b"PK\x03\x04"
"""How a file of `torch.save` begins."""
_STATE, _METADATA = "state", "metadata"
"""What a file of `torch.save` holds."""


class WeightsFileError(InputError):
    """A file is damaged, or holds no weights."""


def is_plain(state: object) -> bool:
    """Whether a state is a dictionary of plain tensors, which safetensors can hold."""
    return isinstance(state, Mapping) and all(
        isinstance(name, str) and name != "__metadata__" and _is_plain_tensor(value)
        for name, value in state.items()
    )


def _is_plain_tensor(value: object) -> bool:
    return (
        type(value) in (Tensor, nn.Parameter)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.dtype in _DTYPES
        and not (value.is_quantized or value.is_nested)
        and value.device.type != "meta"
    )


def ties(state: Mapping[str, Tensor]) -> dict[str, str]:
    """The names of tensors that are another one under a second name, each with the first name."""
    first: dict[tuple[Any, ...], str] = {}
    found = {}
    for name, tensor in state.items():
        if not tensor.numel():
            continue
        seen = tensor.dtype, tensor.shape, tensor.stride(), tensor.is_conj(), tensor.is_neg()
        where = tensor.device, tensor.data_ptr(), *seen
        if first.setdefault(where, name) != name:
            found[name] = first[where]
    return found


def save_weights(
    state: Any, path: Path, metadata: Mapping[str, str] | None = None, *, plain: bool = False
) -> None:
    """Writes a state: as safetensors if it is plain, else with `torch.save`.

    Views are written as whole tensors, and tied ones once: the metadata of a safetensors file names
    the others, as `safetensors.torch.save_model` does.

    Args:
        state: What a model's `state_dict()` returned.
        path: The file, whatever its suffix.
        metadata: Further texts to store.
        plain: Whether only safetensors will do.

    Raises:
        InputError: The state can't be written as safetensors, or not so that it can be read without
            running code.
    """
    if is_plain(state):
        texts = dict(metadata or {})
        tied = {name: first for name, first in ties(state).items() if name not in texts}
        whole = _apart({n: t for n, t in state.items() if n not in tied})
        save_file(whole, path, tied | texts or None)
        return
    if plain:
        raise InputError(f"safetensors can't hold {_at_fault(state, _fits_safetensors)}")
    state = _mapped(lambda v: _whole(v) if _is_plain_tensor(v) else v, state)
    torch.save({_STATE: state, _METADATA: dict(metadata or {})}, path)
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, AttributeError, TypeError) as error:
        raise _unsafe(state) from error


def check_weights(state: Any) -> None:
    """Raises InputError if `save_weights` can't keep a state; plain states cost nothing."""
    if not is_plain(state) and not _is_safe(state):
        raise _unsafe(state)


def read_weights(path: Path) -> tuple[Any, dict[str, str]]:
    """The state and the metadata that `save_weights` has written.

    The metadata of a safetensors file may name tied tensors; `load_state` needs it.

    Raises:
        WeightsFileError: The file is damaged, or holds no weights.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(len(_ZIP))
        if begins == _ZIP:
            found = torch.load(path, map_location="cpu", weights_only=True)
            return found[_STATE], found[_METADATA]
        with safe_open(path, "pt") as tensors:
            return {name: tensors.get_tensor(name) for name in tensors.keys()}, (  # noqa: SIM118
                tensors.metadata() or {}
            )
    except (SafetensorError, UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise WeightsFileError(f"{path.name} is damaged, or no file of weights: {first}") from error


def load_into(model: nn.Module, path: Path) -> dict[str, str]:
    """Loads a file that `save_weights` has written into a model, and returns its metadata.

    Raises:
        WeightsFileError: The file is damaged, or holds no weights.
        RuntimeError: The weights don't fit the model.
    """
    state, metadata = read_weights(path)
    own = model.state_dict()
    if is_plain(state) and isinstance(own, Mapping):
        for name, first in metadata.items():
            if name in own and name not in state and first in state:
                # One of another shape is a view of the first, in the model too: it keeps itself.
                fits = own[name].shape == state[first].shape
                state[name] = state[first] if fits else own[name]
    load_state(model, state)
    return metadata


def load_state(model: nn.Module, state: Any) -> None:
    """Loads a state into a model.

    Raises:
        RuntimeError: The state doesn't fit the model.
    """
    own_memory(model)
    try:
        model.load_state_dict(state)
    except (KeyError, AttributeError, TypeError, ValueError) as error:  # code of the model's own
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def own_memory(model: nn.Module) -> None:
    """Gives a model's tensors memory that can be written to.

    An expanded tensor has several elements in one place, where PyTorch refuses to write.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if _overlaps_itself(parameter):
                parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        for module in model.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None and _overlaps_itself(buffer):
                    module._buffers[name] = buffer.clone(memory_format=torch.contiguous_format)


def copied_state(state: Any, device: str | None = None) -> Any:
    """A copy of a state, on the same or another device, that later training doesn't change."""
    return _mapped(
        lambda v: (
            v.detach().to(device or v.device, copy=True)
            if isinstance(v, Tensor)
            else copy.deepcopy(v)
        ),
        state,
    )


def _mapped(fn: Callable[[Any], Any], state: Any) -> Any:
    """A state with `fn` of each value inside its dictionaries, lists and tuples."""
    if isinstance(state, dict):
        found = copy.copy(state)  # with the versions that PyTorch adds to a state
        found.update({name: _mapped(fn, value) for name, value in state.items()})
        return found
    if type(state) in (list, tuple):
        return type(state)(_mapped(fn, value) for value in state)
    return fn(state)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _overlaps_itself(tensor: Tensor) -> bool:
    if tensor.layout != torch.strided or tensor.is_nested:
        return False
    pairs = zip(tensor.stride(), tensor.shape, strict=True)
    return any(stride == 0 and size > 1 for stride, size in pairs)


def _whole(tensor: Tensor) -> Tensor:
    """A tensor on the CPU whose memory is in order, and holds nothing else."""
    tensor = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    size = tensor.numel() * tensor.element_size()
    return tensor if tensor.untyped_storage().nbytes() == size else tensor.clone()


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors of which no two share memory, as a matrix and its flat view do."""
    found: dict[str, Tensor] = {}
    taken = set()
    for name, tensor in state.items():
        whole = _whole(tensor)
        shared = whole.untyped_storage().data_ptr() in taken
        found[name] = whole.clone() if shared else whole
        taken.add(whole.untyped_storage().data_ptr())
    return found


def _fits_safetensors(value: object) -> bool:
    return is_plain({"value": value})


def _is_safe(value: Any) -> bool:
    file = io.BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # whatever a person's class raises while it is pickled
        return False
    return True


def _unsafe(state: Any) -> InputError:
    return InputError(
        f"the weights can't be kept, because reading {_at_fault(state, _is_safe)} would run code: "
        "return tensors, numbers, texts, lists and dictionaries of them from `state_dict` or "
        "`get_extra_state`"
    )


def _at_fault(state: Any, fits: Any) -> str:
    """The first entry that doesn't fit, in words."""
    for name, value in _entries(state):
        if not fits(value):
            tensor = isinstance(value, Tensor)
            what = f"{value.dtype}, {value.layout}" if tensor else _kind(value)
            return f"{json.dumps(name)} ({what})"
    return f"a state_dict that is a {_kind(state)}"


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _entries(state: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(state, Mapping):
        yield from ((str(name), value) for name, value in state.items())
