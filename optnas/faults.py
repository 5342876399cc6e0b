"""Whose fault an error is: the architecture's, the edited space's, or the code's."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from optnas.errors import CandidateError

_CHANGED_SPACE = (
    "does not support dynamic value space",
    "Cannot set different distribution kind",
)
"""What Optuna says of a parameter whose distribution can't be the same one as before."""


def fault_of_candidate(error: Exception) -> str | None:
    """The reason, where the architecture and not the code is at fault."""
    if isinstance(error, CandidateError):
        return str(error)
    # PyTorch has a type of its own for CUDA alone.
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    ):
        return f"out of memory: {str(error).splitlines()[0]}"
    return None


def is_changed_space(error: Exception) -> bool:
    """Whether a parameter was drawn from other choices than in the study's earlier trials."""
    return any(text in str(error) for text in _CHANGED_SPACE)


def with_place(error: Exception) -> str:
    """Type and message of an error, and the innermost line of code outside of libraries."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename] or frames
    return f"{type(error).__name__}: {error} ({Path(own[-1].filename).name}, line {own[-1].lineno})"
