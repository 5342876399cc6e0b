"""Writes what a block sets on a trial in one transaction, where the storage is a database.

Each transaction on a server is five ways there and back: its beginning and end, a look at the
trial's state, the row, and the connection. A trial sets twenty parameters and attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import Trial

from optnas.storage.faults import storage_fault
from optnas.storage.guard import Private
from optnas.storage.row_storage import RowStorage

_TRIAL = "optuna.trial._trial:Trial"
TRIAL = Private(
    {
        f"{_TRIAL}._suggest": "396fddd4a2899cb5",
        f"{_TRIAL}._get_latest_trial": "657e793ea2013221",
        f"{_TRIAL}.report": "a890fa01b8d1ebf3",
        f"{_TRIAL}.set_constraint": "d51e15cd26103015",
        f"{_TRIAL}.set_user_attr": "4af5758b05cc5c60",
        "optuna.trial._trial:_LazyTrialSystemAttrs": "1e54d77c48425ef4",
    },
    "each attribute of a trial is written by itself, which takes longer",
)
"""What calls a trial's storage, which is replaced here for a while."""


@contextmanager
def together(trial: Trial) -> Iterator[None]:
    """Writes what the block sets on a trial at the end of the block, however that ends.

    Other processes see all of it or nothing. Where the storage is no database whose trials optnas
    writes as rows, each value is written at once.

    Args:
        trial: The running trial.

    Raises:
        UpdateFinishedTrialError: Another process has ended the trial.
        ValueError: A parameter's distribution doesn't fit that of earlier trials.
    """
    storage = trial.storage
    backend = getattr(storage, "_backend", None)
    if not isinstance(backend, RowStorage) or not backend.writes_together or not TRIAL.is_known():
        yield
        return
    pending = _Pending(storage, trial._trial_id)
    trial.storage = pending  # type: ignore[assignment]
    ended = False
    try:
        yield
    except Exception as error:
        ended = isinstance(error, UpdateFinishedTrialError) or storage_fault(error) is not None
        raise
    finally:
        trial.storage = storage
        if not ended:
            pending.write(backend)


class _Pending:
    """A storage that keeps what is set on one trial; all else it leaves to the real one."""

    def __init__(self, storage: BaseStorage, trial_id: int) -> None:
        self._storage = storage
        self._trial_id = trial_id
        self._params: dict[str, tuple[float, BaseDistribution]] = {}
        self._user: dict[str, str] = {}
        self._system: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value: float, distribution: BaseDistribution
    ) -> None:
        self._params[param_name] = param_value, distribution

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._user[key] = json.dumps(value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._system[key] = json.dumps(value)

    def get_trial_system_attrs(self, trial_id: int) -> Mapping[str, Any]:
        written = self._storage.get_trial_system_attrs(trial_id)
        return written | {key: json.loads(code) for key, code in self._system.items()}

    def write(self, backend: RowStorage) -> None:
        """Writes what is kept."""
        if self._params or self._user or self._system:
            backend.write(self._trial_id, self._params, self._user, self._system)
