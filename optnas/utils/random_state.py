"""Runs a block of the user's code under its own seed, and without a trace in the process."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import numpy as np
import torch

from optnas.utils.preserved_once import part

log = logging.getLogger("optnas")


@contextmanager
def preserved() -> Iterator[None]:
    """Restores the states of all generators (torch, NumPy, random) after the block.

    Inside of `preserved_once` they are restored at the end of that block. The working directory is
    restored at once: code that changes it must find its relative paths in the next trial as in the
    first, or a resumed run would differ from one that was never interrupted.
    """
    directory = _directory()
    try:
        with part(_restored):
            yield
    finally:
        if directory and directory != _directory():
            with suppress(OSError):  # the block's code has deleted it
                os.chdir(directory)


@contextmanager
def _restored() -> Iterator[None]:
    """Restores the states of all generators.

    A GPU that hasn't been used yet isn't initialised for this; the seed that its generators will
    start from is restored instead.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    awake = torch.cuda.is_initialized()
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count()) if awake else ()):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        if not awake and torch.cuda.is_available():
            torch.cuda.manual_seed_all(torch.initial_seed())


def _directory() -> str:
    """The working directory; empty if it was deleted."""
    with suppress(OSError):
        return os.getcwd()
    return ""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds all generators for the block, and restores them after it (see `preserved`).

    Says once if the block's code has set torch's seed to one of its own.
    """
    with preserved():
        if torch.accelerator.is_available():
            torch.manual_seed(seed)
        else:  # manual_seed takes a stack trace for each kind of device, even without any
            torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        yield
        if torch.initial_seed() != seed:
            _say_own_seed(torch.initial_seed())


@cache
def _say_own_seed(seed: int) -> None:
    log.warning(
        "your code sets torch's seed to %d in place of the trial's: each training of a network "
        "begins with the same weights and order, so that fresh seeds don't show how much luck is "
        "in a score; leave that seed out, or set it to torch.initial_seed()",
        seed,
    )
