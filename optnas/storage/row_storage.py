"""Optuna's storage in a database, whose trials are read and written as rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from optnas.storage.guard import Private

_RDB = "optuna.storages._rdb.storage"
ROWS = Private(
    {
        "optuna.storages._rdb.models": "fffe746965f10a48",
        f"{_RDB}:_create_scoped_session": "5f8c00a4443a6818",
        f"{_RDB}:RDBStorage.get_study_user_attrs": "e85a2c9af75dc1bd",
        f"{_RDB}:RDBStorage.get_study_system_attrs": "4718753876eb26af",
        f"{_RDB}:RDBStorage.get_trial": "f0a19fc0a6b7248f",
        f"{_RDB}:RDBStorage._get_trials": "19abea574cfe7624",
        f"{_RDB}:RDBStorage._build_frozen_trial_from_trial_model": "bc74e52b6da4626b",
        f"{_RDB}:RDBStorage._get_prepared_new_trial": "9c1a7cdb4ad960a2",
        f"{_RDB}:RDBStorage._set_trial_param": "6a03ad9ee3badb53",
        f"{_RDB}:RDBStorage.set_trial_state_values": "243d7a8bab378c8e",
        f"{_RDB}:RDBStorage.set_trial_user_attr": "81785767d43f4087",
        f"{_RDB}:RDBStorage.set_trial_system_attr": "7bb71be89bea43f1",
        f"{_RDB}:RDBStorage._set_trial_attr_without_commit": "cf3f27024a6f4f57",
        f"{_RDB}:RDBStorage._set_trial_value_without_commit": "70240d3438199c6a",
        f"{_RDB}:RDBStorage._set_trial_param_without_commit": "ab1da80a1ba64b7d",
    },
    "Optuna's own functions read and write the study, which takes longer",
)
"""The functions that are replaced here, and those that they are called by and rely on."""

STANDS = 10.0
"""Seconds for which what was read of another worker's running trial may stand. What changes after
it is drawn is its curve and the time of its lease, which expires after minutes."""


class RowStorage(RDBStorage):
    """Optuna's storage in a database; trials are read and written as rows, by the same rules.

    Optuna makes an object of each row, with its history of changes, and so takes seven to nine
    times as long to read a study (`benchmarks/pareto.py`). Reading as rows makes 1.4 times as many
    trials a second of a study whose values are looked up in a table, and writing as rows 1.4 times
    as many again; where networks are trained, neither can be seen (`benchmarks/storage_writes.py`).
    What is overridden here does what Optuna's does, in the same transactions; where Optuna's
    functions aren't `ROWS`, they do it themselves.

    Args:
        without: User attributes of trials that may be left out, as patterns of SQL's LIKE.
        settled: A user attribute that a trial gets when all of it is drawn. While a trial that has
            it is running, what was read of it stands for up to `STANDS` seconds: a worker reads
            the study several times a trial, and all that other workers run each time. Without it,
            each read is anew.
        settings: Those of Optuna's `RDBStorage`.
    """

    def __init__(
        self, *args: Any, without: Sequence[str] = (), settled: str = "", **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._without = tuple(without)
        self._settled = settled
        self._running: dict[int, tuple[FrozenTrial, float]] = {}
        self._known: dict[tuple[int, str], BaseDistribution] = {}
        self._as_rows = ROWS.is_known()

    @property
    def writes_together(self) -> bool:
        """Whether `write` works."""
        return self._as_rows

    # What needs Optuna's private modules is imported where they are known to be there.

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """As Optuna's."""
        if not self._as_rows:
            return super().get_trial(trial_id)
        from optnas.storage import rows

        with rows.statements(self.scoped_session) as connection:
            return rows.one_trial(connection, trial_id)

    def _get_trials(self, *args: Any, **settings: Any) -> list[FrozenTrial]:
        if not self._as_rows:
            return super()._get_trials(*args, **settings)
        from optnas.storage import rows

        latest = time.monotonic() - STANDS
        kept = {i: pair for i, pair in self._running.items() if pair[1] > latest}
        standing = {i: trial for i, (trial, _) in kept.items()}
        with rows.statements(self.scoped_session) as connection:
            found = rows.trials_of(connection, self._without, standing, *args, **settings)
        now = time.monotonic()
        self._running = {  # another thread may be reading the one before
            t._trial_id: kept.get(t._trial_id, (t, now))
            for t in found
            if t.state == TrialState.RUNNING and self._settled in t.user_attrs
        }
        return found

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """As Optuna's."""
        if not self._as_rows:
            return super().get_study_user_attrs(study_id)
        from optnas.storage import rows

        with rows.statements(self.scoped_session) as connection:
            return rows.study_attributes(connection, "user", study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """As Optuna's."""
        if not self._as_rows:
            return super().get_study_system_attrs(study_id)
        from optnas.storage import rows

        with rows.statements(self.scoped_session) as connection:
            return rows.study_attributes(connection, "system", study_id)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """As Optuna's, by one statement."""
        if not self._as_rows:
            return super().set_trial_user_attr(trial_id, key, value)
        from optnas.storage import row_writes, rows

        with rows.statements(self.scoped_session) as connection:
            row_writes.put_attribute(self, connection, "user", trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """As Optuna's, by one statement."""
        if not self._as_rows:
            return super().set_trial_system_attr(trial_id, key, value)
        from optnas.storage import row_writes, rows

        with rows.statements(self.scoped_session) as connection:
            row_writes.put_attribute(self, connection, "system", trial_id, key, value)

    def write(
        self,
        trial_id: int,
        params: Mapping[str, tuple[float, BaseDistribution]],
        user: Mapping[str, str],
        system: Mapping[str, str],
    ) -> None:
        """Writes parameters and attributes of a running trial in one transaction.

        Args:
            trial_id: The trial.
            params: Internal value and distribution by name; one that the trial has stays.
            user: User attributes, each encoded as JSON.
            system: System attributes, each encoded as JSON.

        Raises:
            UpdateFinishedTrialError: The trial has ended.
            ValueError: A distribution doesn't fit an earlier one with its name.
        """
        from optnas.storage import row_writes

        row_writes.write_all(self, self._known, trial_id, params, user, system)

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Any
    ) -> Any:
        if not self._as_rows or template_trial is None or not _begins(template_trial):
            return super()._get_prepared_new_trial(study_id, template_trial, session)
        from optnas.storage import row_writes

        return row_writes.new_trial(study_id, template_trial, session)

    def _set_trial_attr_without_commit(self, *args: Any, **settings: Any) -> None:
        if not self._as_rows:
            return super()._set_trial_attr_without_commit(*args, **settings)
        from optnas.storage import row_writes

        return row_writes.set_attribute(self, *args, **settings)

    def _set_trial_value_without_commit(self, *args: Any, **settings: Any) -> None:
        if not self._as_rows:
            return super()._set_trial_value_without_commit(*args, **settings)
        from optnas.storage import row_writes

        return row_writes.set_value(self, *args, **settings)

    def _set_trial_param_without_commit(self, *args: Any, **settings: Any) -> None:
        if not self._as_rows:
            return super()._set_trial_param_without_commit(*args, **settings)
        from optnas.storage import row_writes

        return row_writes.set_param(self, *args, **settings)


def _begins(template: FrozenTrial) -> bool:
    """Whether a trial that is to be made has attributes alone."""
    return not (
        template.state.is_finished()
        or template.params
        or template.intermediate_values
        or template.values
    )
