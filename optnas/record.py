"""What a study remembers, so that it can be found, resumed, and kept comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study

from optnas.errors import InputError
from optnas.storage import open_storage, storage_path

if TYPE_CHECKING:
    from optnas.metrics import Direction

RECORD = "optnas"
"""The study attribute: version, study file, fingerprint, overrides, names of the scores, size of
the space, changes that were accepted."""


@dataclass(frozen=True)
class Overrides:
    """Settings given beside the study file; the study remembers them. None leaves the file's."""

    trials: int | None = None
    hours: float | None = None
    sampler: str | None = None
    seed: int | None = None
    device: str | None = None
    epochs: int | None = None
    trial_timeout: float | None = None
    max_failures: int | None = None

    def updated(self, later: Overrides) -> Overrides:
        """These, with those that are given later in their place."""
        return replace(self, **later.given())

    def given(self) -> dict[str, Any]:
        """Those that aren't None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def find_study(url: str, name: str | None = None) -> Study:
    """Opens a study that exists.

    Raises:
        InputError: The storage can't be opened, it holds no such study, or several and no name
            is given.
    """
    storage = open_storage(url)
    names = optuna.get_all_study_names(storage)
    listed = ", ".join(names) or "none"
    if not names:
        raise InputError(f"there is no study in {url} yet: `optnas run` makes one")
    if name is None and len(names) != 1:
        raise InputError(f"{url} holds {len(names)} studies ({listed}): give --name")
    study = load_study(storage, names[0] if name is None else name)
    if study is None:
        raise InputError(f"{url} holds no study {name!r}; there are: {listed}")
    return study


def study_names(url: str) -> list[str]:
    """The names of the studies in a storage."""
    return optuna.get_all_study_names(open_storage(url))


def load_study(storage: BaseStorage, name: str) -> Study | None:
    """The study of this name; None if there is none."""
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return None


def load_or_create(
    storage: BaseStorage, name: str, directions: Sequence[Direction]
) -> tuple[Study, bool]:
    """The study of this name, and whether it was made now."""
    study = load_study(storage, name)
    if study is not None:
        return study, False
    with suppress(optuna.exceptions.DuplicatedStudyError):  # another process made it just now
        return optuna.create_study(study_name=name, storage=storage, directions=directions), True
    return optuna.load_study(study_name=name, storage=storage), False


def overrides_of(study: Study) -> Overrides:
    """What was overridden in earlier runs of a study."""
    return Overrides(**study.user_attrs.get(RECORD, {}).get("overrides", {}))


def check_same_study(
    study: Study,
    directions: Sequence[Direction],
    fingerprint: Mapping[str, str],
    accept_changes: bool,
) -> str:
    """Raises InputError if going on would mix numbers that can't be compared.

    Returns:
        The differences that were accepted; empty if there are none.
    """
    record = study.user_attrs.get(RECORD)
    where = f"there is a study {study.study_name!r} in this storage already"
    other = "give another --name or --storage to start a new one"
    if record is None:
        same = [d.name.lower() for d in study.directions] == list(directions)
        if same and not study.get_trials(deepcopy=False):
            return ""  # made, but interrupted before anything was written
        raise InputError(f"{where}, which wasn't made by optnas: {other}")
    changes = differences(record["fingerprint"], fingerprint)
    if not changes:
        return ""
    listed = listing(changes)
    final = [key for key in changes if key in ("objectives", "space")]
    if final:
        raise InputError(f"{where}, but it is another one ({listed}): {other}")
    if not accept_changes:
        raise InputError(
            f"{where}, whose numbers can't be compared with new ones ({listed}): go back to its "
            f"settings, {other}, or go on all the same with --accept-changes"
        )
    return listed


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What two fingerprints have under the names where they differ."""
    return {
        key: (old.get(key, "nothing"), new.get(key, "nothing"))
        for key in (*old, *(key for key in new if key not in old))
        if old.get(key) != new.get(key)
    }


def listing(changes: Mapping[str, tuple[str, str]]) -> str:
    """Differences between a study and its file, as people read them."""
    return "; ".join(f"{key}: {was} there, {now} here" for key, (was, now) in changes.items())


def weights_folder(url: str, study_name: str) -> Path:
    """Where the trained weights of a study's front lie: beside its database."""
    return beside(url, f"{study_name}_weights")


def beside(url: str, name: str) -> Path:
    """A path beside the storage's file; in the working directory for a server."""
    file = storage_path(url) if url else None
    return (file.parent if file else Path()) / name
