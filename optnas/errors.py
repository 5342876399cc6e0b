"""The errors that optnas raises on purpose, and a test for whether an architecture is at fault."""

import os
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OPTNAS = str(Path(__file__).parent) + os.sep
_STANDARD = [sysconfig.get_path(kind) + os.sep for kind in ("stdlib", "platstdlib")]
_LIBRARIES = (*_STANDARD, "<frozen ")
_INSTALLED = "site-packages", "dist-packages"


class InputError(ValueError):
    """An input of the user can't be used.

    The message names what was given, what is allowed, and what to do next, in a sentence or two.
    The command line prints it without a traceback and exits with code 2.
    """


class NoStudyError(InputError):
    """There is no study at the given place yet."""


class NetworkError(InputError):
    """A network can't be written to a file, quantised, or run from its file.

    Others of a search may be: a trial fails with the message as its reason, and the study
    continues. A command that was asked for this network ends.
    """


class Interrupted(SystemExit):
    """A signal ends the program; the exit code tells which one."""


class StorageGoneError(RuntimeError):
    """The storage's file was deleted or replaced while it was in use."""

    def __init__(self, path: object) -> None:
        super().__init__(
            f"{path} was deleted or replaced while it was in use: put it back, or run the study "
            "again to start anew"
        )


@contextmanager
def exits_refused() -> Iterator[None]:
    """Raises InputError where the user's code in the block calls sys.exit()."""
    try:
        yield
    except Interrupted:
        raise
    except SystemExit as error:
        raise InputError(f"the study's code called sys.exit({error.code})") from error


class CandidateError(RuntimeError):
    """An architecture is at fault, not the code: it diverged, or did not fit into memory.

    Its trial fails with the message as its reason, and the study continues.
    """


class CommandError(RuntimeError):
    """A command of the user's failed. The message says all there is, without a traceback."""


def with_notes(error: BaseException) -> str:
    """The message of an error, with the notes that a traceback shows below it."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


_CHANGED_SPACE = (
    "does not support dynamic value space",
    "Cannot set different distribution kind",
)
"""Parts of Optuna's messages about a parameter whose distribution can't be used any more."""


def fault_of_candidate(error: Exception) -> str | None:
    """The reason if the architecture is at fault; None if the code is.

    Args:
        error: What building, measuring or training the architecture raised.
    """
    if isinstance(error, (CandidateError, NetworkError)):
        return str(error)
    # PyTorch raises a type of its own for this on CUDA alone.
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


def with_place(error: BaseException) -> str:
    """Type and message of an error, with the innermost line of the user's code.

    Where only libraries ran, as in a network of layers alone, no line says more. A fault of optnas,
    below which no library ran, has its own line.
    """
    if isinstance(error, CommandError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    places = [f for f in frames if not f.filename.startswith((*_LIBRARIES, _OPTNAS))]
    places = [f for f in places if not any(part in f.filename for part in _INSTALLED)]
    if not places and all(f.filename.startswith(_OPTNAS) for f in frames):
        places = list(frames)
    text = f"{type(error).__name__}: {error}"
    if not places:
        return text
    return f"{text} ({Path(places[-1].filename).name}, line {places[-1].lineno})"


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: the machine is needed for something else."""


class StoppedError(Exception):
    """Work was interrupted because the run ends; the next run resumes it."""


class TrialTimeout(BaseException):
    """A trial took longer than allowed.

    It is no `Exception`, so that an `except Exception` in the user's code doesn't swallow it.
    """


class WorkerError(RuntimeError):
    """The user's code failed in a worker process; the message has the traceback."""
