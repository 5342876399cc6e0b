"""The checkpoint of a training: written now and then, read by the trial that repeats a lost one.

It holds all that the rest of the training depends on, the states of the random generators included.
So a training that is resumed ends like one that was never interrupted: with the same scores and
weights, bit by bit on a CPU, and on a GPU where the model's operations are deterministic.
"""

from __future__ import annotations

import copy
import logging
import os
import random
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, cast

import numpy as np
import torch

from optnas.evaluators.epoch_report import STORE_SECONDS, Report

SHARE = 0.05
"""Writing takes at most this share of a training's time."""
FILE = "training.pt"

log = logging.getLogger("optnas")


class Resumable(Protocol):
    """A training that can be resumed."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs: tensors and plain types."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from a state."""


class Checkpoint:
    """Saves a training in the report's folder, and resumes it from there.

    Args:
        report: Names the folder (None keeps no checkpoint) and holds the curve.
        loop: The training.
        names: All that distinguishes this training from others. A checkpoint with other names
            isn't used.
    """

    def __init__(self, report: Report, loop: Resumable, names: Mapping[str, str]) -> None:
        self._report = report
        self._loop = loop
        self._names = dict(names)
        self._path = None if report.folder is None else report.folder / FILE
        self._saved = time.monotonic()
        self._pause = STORE_SECONDS

    def load(self) -> None:
        """Resumes from the checkpoint if there is one that can be used; else starts anew."""
        # os.path.exists is False where the folder can't be read; Path.exists raises.
        if self._path is None or not os.path.exists(self._path):
            return
        start = copy.deepcopy(self._state())
        try:
            state = self._read(self._path)
            self._load_state(state)
            self._report.earlier = float(state.get("seconds", 0.0))
        except Exception as error:
            self._load_state(start)
            log.warning(
                "the checkpoint %s can't be used, training begins anew: %s: %s",
                self._path,
                type(error).__name__,
                error,
            )

    def save(self, *, now: bool = False) -> None:
        """Writes the checkpoint if the last one is old enough, or `now`.

        After a write that fails (a full disk, say), none is tried again.
        """
        started = time.monotonic()
        if self._path is None or (started - self._saved < self._pause and not now):
            return
        try:
            self._write()
        except Exception as error:
            log.warning(
                "no checkpoint can be written to %s, training continues without: %s: %s",
                self._path,
                type(error).__name__,
                error,
            )
            self._path = None
        self._saved = time.monotonic()
        self._pause = max(STORE_SECONDS, (self._saved - started) / SHARE)

    def _write(self) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # If the process is killed half-way, the last checkpoint must stay whole.
        part = self._path.with_name(f"{uuid.uuid4()}.part")
        try:
            torch.save(self._state(), part)
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)

    def _read(self, path: Path) -> Mapping[str, Any]:
        try:
            # On the CPU first: the generators' states must stay there.
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError:  # its own message advises to load without weights_only
            raise ValueError("it holds something else than tensors and plain types") from None
        if state["names"] != self._names:
            raise ValueError("it belongs to another training")
        return state

    def _state(self) -> dict[str, Any]:
        return {
            "names": self._names,
            "loop": self._loop.state(),
            "curve": self._report.curve,
            "seconds": self._report.seconds,
            "random": _random_state(self._loop.device),
        }

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self._loop.load_state(state["loop"])
        self._report.curve[:] = state["curve"]
        _set_random_state(state["random"], self._loop.device)


def _random_state(device: torch.device) -> dict[str, Any]:
    """The states of all generators that a training may draw from, as tensors and plain types."""
    kind, keys, *rest = cast(tuple[Any, ...], np.random.get_state())
    states = {
        "random": random.getstate(),
        "numpy": (kind, keys.tolist(), *rest),
        "cpu": torch.get_rng_state(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _set_random_state(states: Mapping[str, Any], device: torch.device) -> None:
    random.setstate(states["random"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["cpu"])
    # Missing if the training began on a device of another kind.
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])
