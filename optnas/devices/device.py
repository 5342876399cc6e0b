"""Devices: their names, their facts, and how PyTorch uses them."""

from __future__ import annotations

import gc
import os
import platform
import re
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from optnas.errors import InputError


def usable_cores() -> int:
    """The CPU cores that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1


def check_device_name(name: str) -> None:
    """Raises InputError unless this is `auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    if not isinstance(name, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise InputError(f"unknown device {name!r}: give auto, cpu, cuda, cuda:N or mps")


def resolve_device(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, `cuda:1` or `mps` names on this machine.

    `auto` is the first of CUDA, MPS and the CPU that this machine has.

    Raises:
        InputError: This machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    check_device_name(name)
    device = torch.device(name)
    count = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= count:
        raise InputError(f"device {name!r} isn't on this machine (device auto takes what there is)")
    return device


def visible_gpus() -> list[str]:
    """The CUDA devices that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not torch.cuda.is_available():
        return []
    if named:
        return [name.strip() for name in named.split(",")][: torch.cuda.device_count()]
    return [str(index) for index in range(torch.cuda.device_count())]


def device_name(device: torch.device) -> str:
    """The model of the device: the GPU's name, or the CPU's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name() if device.type == "cpu" else f"{device.type} ({_cpu_name()})"


def device_key(device: torch.device) -> str:
    """A name for the hardware: each worker calls its own GPU `cuda:0`, but every GPU has a UUID."""
    if device.type != "cuda":
        return device.type
    properties = torch.cuda.get_device_properties(device)
    return f"cuda-{getattr(properties, 'uuid', None) or device.index or 0}"


def device_facts(device: torch.device) -> dict[str, Any]:
    """The state of a GPU now, from nvidia-smi: `uuid`, `driver`, `clock_mhz`, `max_clock_mhz`.

    Empty for other devices. Facts that nvidia-smi doesn't report are left out.
    """
    if device.type != "cuda":
        return {}
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    if uuid is None:
        return {}
    fields = ("driver_version", "clocks.current.sm", "clocks.max.sm")
    command = ["nvidia-smi", f"--id=GPU-{uuid}", f"--query-gpu={','.join(fields)}"]
    found: dict[str, Any] = {"uuid": str(uuid)}
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run(
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        driver, clock, highest = (word.strip() for word in done.stdout.strip().split(","))
        found["driver"] = driver
        found |= {"clock_mhz": int(clock), "max_clock_mhz": int(highest)}
    return found


def _cpu_name() -> str:
    with suppress(OSError), open("/proc/cpuinfo") as lines:  # Linux only
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def release_memory(error: BaseException) -> None:
    """Frees the memory of a failed network: clears the error's frames, which keep tensors alive."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Sets PyTorch's number of CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def repeatable() -> Iterator[None]:
    """Restricts cuDNN to deterministic kernels inside the block.

    By default the kernels for a convolution's gradient in float32 add in the order in which
    threads arrive, so two runs differ in the last bits.
    """
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before
