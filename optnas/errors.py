"""The kinds of error that are nobody's bug, and whose fault an error is."""

import traceback
from pathlib import Path


class InputError(ValueError):
    """Something a person gave can't be used.

    Its message is one sentence or two: what was given, what is allowed, what to do next. The
    command line prints it without a traceback and exits with code 2.
    """


class NoStudyError(InputError):
    """Nothing is stored yet where a study was looked for."""


class Interrupted(SystemExit):
    """A signal ends the program; its code says which."""


class StorageGoneError(RuntimeError):
    """The storage's file was deleted or replaced while it was in use."""

    def __init__(self, path: object) -> None:
        super().__init__(
            f"{path} was deleted or replaced while the run went on: put it back, or run it again "
            "to start anew"
        )


class CandidateError(RuntimeError):
    """One architecture is at fault, not the code: it diverged, or did not fit into memory.

    Its trial fails with this message as the reason, and the study goes on.
    """


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
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
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


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: the machine is wanted back."""


class StoppedError(Exception):
    """What was under way was given up for now, as a run is to end; it goes on the next time."""


class TrialTimeout(BaseException):
    """A trial took longer than it may.

    No `Exception`, so that a person's `except Exception` around a batch doesn't swallow it.
    """


class WorkerError(RuntimeError):
    """A person's code failed in a worker; the message has the traceback."""
