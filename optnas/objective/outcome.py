"""The error policy of a trial: which errors end the trial, and which end the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optuna import TrialPruned
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial

from optnas.devices.device import release_memory
from optnas.errors import (
    InputError,
    TrialTimeout,
    fault_of_candidate,
    is_changed_space,
    with_place,
)
from optnas.storage.faults import storage_fault
from optnas.storage.together import together
from optnas.study import attributes as attr


class Details(dict[str, Any]):
    """Further facts of a trial, by the score or metric that they belong to (`Candidate.details`).

    They are stored with its value: a number without its interval would look exact.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stored: dict[str, str] = {}

    def store(self, trial: Trial) -> None:
        """Stores those that aren't stored yet, or have changed since."""
        for name, detail in self.items():
            text = repr(detail)
            if self._stored.get(name) != text:
                trial.set_user_attr(f"{attr.DETAIL}{name}", detail)
                self._stored[name] = text


@contextmanager
def outcome_stored(trial: Trial) -> Iterator[Details]:
    """Stores on the trial why its block ended, and the details that weren't stored by then.

    An error for which the architecture is at fault ends here: the trial fails, and the study goes
    on. Every other error is raised.

    Args:
        trial: The running trial.

    Yields:
        The details, which the block fills in.

    Raises:
        InputError: The user's code is at fault: it called sys.exit(), or draws a parameter from
            other choices than earlier trials did.
        RuntimeError: The user's code raised a `BaseException` of its own.
    """
    details, writable = Details(), True
    try:
        yield details
    except KeyboardInterrupt:
        trial.set_user_attr(attr.LOST, attr.INTERRUPTED)
        raise
    except TrialPruned as pruned:
        trial.set_user_attr(attr.PRUNED, str(pruned))
        raise
    except SystemExit as error:
        trial.set_user_attr(attr.FAILURE, "the evaluator called sys.exit()")
        raise InputError(f"the evaluator called sys.exit({error.code})") from error
    except UpdateFinishedTrialError:  # its lease expired, and another worker ended the trial
        writable = False
        raise
    except Exception as error:
        if storage_fault(error):
            writable = False
            raise
        reason = fault_of_candidate(error)
        trial.set_user_attr(attr.FAILURE, reason or with_place(error))
        if is_changed_space(error):
            raise InputError(
                f"a parameter is drawn from other choices than in this study before ({error}): "
                "put them back, or start another study (`name=`)"
            ) from error
        if reason is None:
            raise
        release_memory(error)
    except TrialTimeout:
        raise
    except BaseException as error:  # of the code's own: neither Optuna nor a run would catch it
        trial.set_user_attr(attr.FAILURE, with_place(error))
        raise RuntimeError(with_place(error)) from error
    finally:
        if writable and details:
            with together(trial):
                details.store(trial)
