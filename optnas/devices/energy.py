"""The counters of energy that a device has: RAPL for CPUs, NVML for NVIDIA's GPUs.

RAPL (running average power limit) is Linux's folder `/sys/class/powercap`, on Intel's CPUs and,
with the same names, on AMD's. Its domains form a tree: `intel-rapl:0` is a package (a socket, or
one of its dies) with cores, caches, memory controller and integrated graphics, and `intel-rapl:0:0`
is a part of it, so only packages are added up. `psys`, which some laptops have next to their
package, holds the package and more, and is left out too. So is the memory (`dram`).

A counter of RAPL starts again at 0 after `max_energy_range_uj`, after minutes of full load. One
such wrap between two readings is seen. So that there can't be two, readings lie closer together
than the range takes at `MOST_WATTS`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from optnas.errors import InputError

POWERCAP = Path("/sys/class/powercap")
MOST_WATTS = 1000.0
"""No package takes more power than this."""
STILL = 1.0
"""Seconds after which a counter that hasn't moved isn't one: RAPL's move each millisecond, NVML's
ten times a second, and no device takes no power."""

Reading = tuple[int, ...]


@dataclass(frozen=True)
class EnergyCounter:
    """Counts the energy that a device takes.

    Attributes:
        source: Which counter it is, for people.
        read: Reads it: a number for each of its domains.
        joules_per_count: What its numbers are in joules.
        ranges: For each domain the number after which it starts again at 0; empty if none does.
    """

    source: str
    read: Callable[[], Reading]
    joules_per_count: float
    ranges: Reading = ()

    def joules(self, before: Reading, after: Reading) -> float:
        """The energy between two readings that are at most `longest` seconds apart."""
        counts = [late - early for early, late in zip(before, after, strict=True)]
        for i, most in enumerate(self.ranges):
            if counts[i] < 0:
                counts[i] += most
        return sum(counts) * self.joules_per_count

    @property
    def longest(self) -> float:
        """Seconds between two readings in which no domain can have started again twice."""
        return min(self.ranges, default=float("inf")) * self.joules_per_count / MOST_WATTS


def energy_counter(device: torch.device) -> EnergyCounter:
    """The counter of a device, which was seen to move.

    Raises:
        InputError: There is none, it can't be read, or it stands still.
    """
    if device.type == "cpu":
        counter = _rapl()
    elif device.type == "cuda":
        counter = _nvml(device)
    else:
        raise InputError(f"no counter of energy is known for {device.type}: measure on cpu or cuda")
    first, deadline = counter.read(), time.monotonic() + STILL
    while counter.read() == first:
        if time.monotonic() > deadline:
            raise stands_still(counter.source)
        time.sleep(0.001)
    return counter


def stands_still(source: str) -> InputError:
    """The error for a counter that doesn't move."""
    return InputError(
        f"{source} stands still, as in a virtual machine, which doesn't know what energy it takes: "
        "measure on the machine itself"
    )


def _rapl() -> EnergyCounter:
    """The packages of this machine.

    Raises:
        InputError: There are none, or they can't be read.
    """
    packages = {}
    for folder in sorted(POWERCAP.glob("intel-rapl:*")):
        # In a container that masks them, the folders are links to nowhere.
        if re.fullmatch(r"intel-rapl:\d+", folder.name) and (folder / "name").is_file():
            name = _text(folder / "name")
            if name.startswith("package"):
                packages[name] = folder
    if not packages:
        raise InputError(
            f"this machine shows no counter of the CPU's energy: {POWERCAP} has no package of "
            "RAPL. Virtual machines and most containers have none (docker masks the folder), nor "
            "have Macs and Windows: measure on Linux itself, on a CPU of Intel's or AMD's"
        )
    files = [folder / "energy_uj" for folder in packages.values()]

    def read() -> Reading:
        return tuple(_count(file) for file in files)

    read()
    ranges = tuple(_count(folder / "max_energy_range_uj") for folder in packages.values())
    return EnergyCounter(f"RAPL {' + '.join(packages)}", read, 1e-6, ranges)


def _count(file: Path) -> int:
    text = _text(file)
    if not text.isdecimal():
        raise InputError(f"{file} holds {text!r}, which is no counter of energy")
    return int(text)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except PermissionError as error:
        raise InputError(
            f"{file} is for root alone, as in Linux since 5.10, because a fine enough counter of "
            "energy can betray what other programs compute (CVE-2020-8694). Let everybody read it "
            f"until the next start with `sudo chmod a+r {POWERCAP}/intel-rapl:*/energy_uj`, or for "
            "good with a line `mode class/powercap/intel-rapl:0/energy_uj = 0444` for each package "
            "in /etc/sysfs.conf (package sysfsutils)"
        ) from error
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}") from error


def _nvml(device: torch.device) -> EnergyCounter:
    """A GPU.

    Raises:
        InputError: The package is missing, or the GPU or its driver has no such counter.
    """
    try:
        import pynvml
    except ModuleNotFoundError as error:
        raise InputError(
            "the energy of a GPU needs the extra energy: pip install 'optnas[energy]' (the package "
            "nvidia-ml-py is missing)"
        ) from error
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    if uuid is None:
        raise InputError(
            f"{device} has no UUID by which NVML knows it: it must be a GPU of NVIDIA's"
        )

    def read() -> Reading:
        return (int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)),)

    try:
        pynvml.nvmlInit()
        handle: Any = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        read()
    except pynvml.NVMLError as error:
        raise InputError(
            f"NVML doesn't tell the energy of {device} ({error}): it takes a whole GPU (no part of "
            "one, as MIG gives) of Volta or later, and its driver"
        ) from error
    return EnergyCounter("NVML's total energy", read, 1e-3)
