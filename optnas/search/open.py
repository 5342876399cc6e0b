"""Opens the study of a search: checks what must stay the same, and gives it its sampler."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import Study

from optnas.devices.device import resolve_device
from optnas.errors import InputError, NoStudyError
from optnas.objective.checkpoint_folders import sweep
from optnas.objective.objective import Objective
from optnas.samplers import HistorySampler, ReseededSampler, make_sampler
from optnas.search.settings import Settings
from optnas.search_spaces import SearchSpace, space_size
from optnas.storage.open import open_storage
from optnas.storage.urls import shown_url
from optnas.study.folders import await_files
from optnas.study.load import load_or_create, load_study
from optnas.study.objectives import name_objectives
from optnas.study.record import RECORD, Overrides, StudyRecord, check_same_study, record_of
from optnas.study.seeds import study_seed
from optnas.utils.random_state import seeded


def open_study(
    search: Settings,
    objective: Objective,
    *,
    overrides: Overrides | None = None,
    accept_changes: bool = False,
) -> Study:
    """Opens the study of a search, or makes it (see `Search.open`).

    Args:
        search: The search.
        objective: Its objective, which a learning sampler asks for costs.
        overrides: Settings that the study shall remember as overridden.
        accept_changes: Whether to open a study that was made with other settings.
    """
    resolve_device(search.device)
    fingerprint = search.fingerprint(objective)
    # Last, so that a refused search leaves no empty database behind.
    storage = search.storage
    if not isinstance(storage, BaseStorage):
        storage = open_storage(search.location.current_url, create=True)
    study, made = load_or_create(storage, search.study_name, objective.directions)
    accepted: list[str] = []
    if not made:
        await_files(study)
        changes = check_same_study(study, objective.directions, fingerprint, accept_changes)
        if changes:
            accepted.append(f"from trial {len(study.get_trials(deepcopy=False))}: {changes}")
    objective.open_files(study)
    name_objectives(study, objective.objectives)
    objective.keep_reference(study)
    old = record_of(study)
    same_space = old.fingerprint.get("code of the space") == search.code
    new = StudyRecord(
        version=version("optnas"),
        file=str(search.root / search.file) if search.file else old.file,
        fingerprint=fingerprint,
        overrides=old.overrides.updated(overrides or Overrides()),
        scores=(*objective.evaluator.provides, *(m.name for m in search.metrics)),
        accepted=(*old.accepted, *accepted),
        size=(old.size if same_space else "") or _size(search.space),
    )
    _give_sampler(study, search, objective)
    sweep(objective.checkpoints, study)
    if new != old:
        study.set_user_attr(RECORD, new.stored())
    return study


def join_study(search: Settings, objective: Objective, *, accept_changes: bool = False) -> Study:
    """Opens the study that another process has made for this search.

    Raises:
        InputError: Numbers would differ here from those of the study (another GPU, an edited file).
    """
    storage = open_storage(search.location.current_url, create=True)
    study = load_study(storage, search.study_name)
    if study is None:
        raise InputError(f"study {search.study_name!r} is gone from {shown_url(search.url)}")
    check_same_study(study, objective.directions, search.fingerprint(objective), accept_changes)
    objective.open_files(study)
    _give_sampler(study, search, objective)
    return study


def remembered_overrides(search: Settings) -> Overrides:
    """The settings that earlier runs of the study overrode."""
    if not search.url:
        return Overrides()
    try:
        study = load_study(open_storage(search.location.current_url), search.study_name)
    except NoStudyError:
        return Overrides()
    return record_of(study).overrides if study else Overrides()


def _give_sampler(study: Study, search: Settings, objective: Objective) -> None:
    sampler = search.sampler
    own = sampler.seed if isinstance(sampler, HistorySampler) else None
    seed = study_seed(study, own if search.seed is None else search.seed)
    if isinstance(sampler, str):
        study.sampler = make_sampler(sampler, seed)
    elif isinstance(sampler, HistorySampler):
        study_seed(study, own)  # refused if it is another one
        study.sampler = sampler
    else:
        study.sampler = ReseededSampler(lambda _: sampler)
    if isinstance(study.sampler, HistorySampler):
        study.sampler.fill_in(objective.suggest, objective.preview)


def _size(space: SearchSpace[Any]) -> str:
    try:
        with seeded(0):  # a FunctionSpace builds while it is counted
            return str(space_size(space.suggest))
    except Exception as error:  # the user's code failed, on an architecture that no trial asked for
        return f"unknown ({type(error).__name__} while counting: {error})"
