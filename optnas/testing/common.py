"""What several contracts need."""

from __future__ import annotations

import hashlib
import pickle
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import torch
from optuna.study import Study


def random_study(seed: int = 0) -> Study:
    """A study in memory whose trials draw at random, the same at every call."""
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


def generator_states() -> Mapping[str, str]:
    """A hash of the state of each global generator that code may draw from."""
    states: dict[str, Any] = {
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state(),
        "random": random.getstate(),
    }
    return {
        name: hashlib.sha256(pickle.dumps(state)).hexdigest()[:12] for name, state in states.items()
    }


def missing(test: object, what: str) -> str:
    """The message for a test class that lacks what its contract asks for.

    The contracts aren't abstract classes: pytest would pass over such a class without a word.
    """
    return f"{type(test).__name__} must define {what}"
