"""Blocks under a seed of their own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def preserved() -> Iterator[None]:
    """Runs a block, and puts the states of all generators back (torch, NumPy, random).

    A GPU that nobody has used yet is left asleep: what its generators will start from is put back
    instead.
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
    """Runs a block under a seed of its own, and puts all generators back (see `preserved`)."""
    with preserved():
        if torch.accelerator.is_available():
            torch.manual_seed(seed)
        else:  # that takes a stack trace for each kind of device, also where there is none
            torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        yield
