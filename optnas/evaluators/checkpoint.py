"""The checkpoint of a training: written now and then, read by the trial that repeats a lost one.

It holds all that the rest of the training depends on, the states of the random generators too, so
that a training that goes on from it ends as one that was never interrupted: with the same scores
and weights, bit by bit on a CPU, and on a GPU where the model's operations repeat themselves.
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

from optnas.evaluators.base import STORE_SECONDS, Report

SHARE = 0.05
"""Writing takes no more of a training's time than this."""
FILE = "training.pt"

log = logging.getLogger("optnas")


class Resumable(Protocol):
    """A training that can be taken up again."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    def state(self) -> dict[str, Any]:
        """What `load_state` needs to go on from here: tensors, and plain types."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""


class Checkpoint:
    """Saves a training in the report's folder, and takes it up from there.

    Args:
        report: Names the folder (None keeps no checkpoint) and holds the curve.
        loop: The training.
        names: What tells this training from another one: a checkpoint of another isn't used.
    """

    def __init__(self, report: Report, loop: Resumable, names: Mapping[str, str]) -> None:
        self._report = report
        self._loop = loop
        self._names = dict(names)
        self._path = None if report.folder is None else report.folder / FILE
        self._saved = time.monotonic()
        self._pause = STORE_SECONDS

    def load(self) -> None:
        """Goes on from the checkpoint, if there is one; from the start if it can't be used."""
        if self._path is None or not os.path.exists(self._path):  # False where it may not look
            return
        start = copy.deepcopy(self._state())
        try:
            self._load_state(self._read(self._path))
        except Exception as error:
            self._load_state(start)
            log.warning(
                "the checkpoint %s can't be used, training begins anew: %s: %s",
                self._path,
                type(error).__name__,
                error,
            )

    def save(self, *, now: bool = False) -> None:
        """Writes the checkpoint, if the last one is old enough, or `now`.

        One that can't be written (a full disk, say) is the last that is tried.
        """
        started = time.monotonic()
        if self._path is None or (started - self._saved < self._pause and not now):
            return
        try:
            self._write()
        except Exception as error:
            log.warning(
                "no checkpoint can be written to %s, training goes on without: %s: %s",
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
        # A kill in the middle must leave the last checkpoint whole.
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
        except UnpicklingError:  # whose own text advises to load it without weights_only
            raise ValueError("it holds something else than tensors and plain types") from None
        if state["names"] != self._names:
            raise ValueError("it belongs to another training")
        return state

    def _state(self) -> dict[str, Any]:
        return {
            "names": self._names,
            "loop": self._loop.state(),
            "curve": self._report.curve,
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
    # Not there if the training began on a device of another kind.
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])
