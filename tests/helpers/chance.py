"""What is drawn without a seed is the same in each run of a test, in whatever order tests run.

`OPTNAS_TESTS_CHANCE=1` draws other numbers: a test that fails then has too narrow a limit.
"""

import os
import random
import zlib
from contextlib import contextmanager
from itertools import count

import numpy as np
import torch
from optuna.samplers._lazy_random_state import LazyRandomState

import optnas.study.seeds

VARIABLE = "OPTNAS_TESTS_CHANCE"


class _Seeds:
    """Where Optuna's samplers and studies of ours take a seed from when they are given none."""

    def __init__(self, name):
        self.name = f"{os.environ.get(VARIABLE, 0)}/{name}"
        self.number = count()

    def __call__(self):
        return zlib.crc32(f"{self.name}/{next(self.number)}".encode())


_seeds = _Seeds("outside of tests")


@contextmanager
def drawn_for(name):
    """Within it, what is drawn without a seed depends on this name alone."""
    global _seeds
    before = _seeds, random.getstate(), np.random.get_state(), torch.get_rng_state()
    _seeds = _Seeds(name)
    random.seed(_seeds())
    np.random.seed(_seeds())
    torch.default_generator.manual_seed(_seeds())
    try:
        yield
    finally:
        _seeds, state, of_numpy, of_torch = before
        random.setstate(state)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)


def fix():
    """For this process, from now on."""
    LazyRandomState._set_rng = lambda self: setattr(self, "_rng", np.random.RandomState(_seeds()))
    optnas.study.seeds.secrets.randbelow = lambda bound: _seeds() % bound
