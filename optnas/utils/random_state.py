"""Runs a block under its own seed, or without a trace in the random generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def preserved() -> Iterator[None]:
    """Restores the states of all generators (torch, NumPy, random) after the block.

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


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds all generators for the block, and restores them after it (see `preserved`)."""
    with preserved():
        if torch.accelerator.is_available():
            torch.manual_seed(seed)
        else:  # manual_seed takes a stack trace for each kind of device, even without any
            torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        yield
