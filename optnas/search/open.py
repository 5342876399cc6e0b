"""Opens the study of a search: checks what must stay the same, and gives it its sampler."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.devices.device import resolve_device
from optnas.errors import InputError, NoStudyError
from optnas.evaluators.abilities import why_no_retraining
from optnas.evaluators.relaxed import check_relaxable
from optnas.objective.checkpoint_folders import sweep
from optnas.objective.objective import Objective
from optnas.samplers import (
    GradientSampler,
    HistorySampler,
    PredictorSampler,
    ReseededSampler,
    make_sampler,
)
from optnas.samplers.source import Source
from optnas.search.settings import Settings
from optnas.search.warm_start import open_older
from optnas.search_spaces.size import size_text
from optnas.storage.open import open_storage
from optnas.storage.urls import shown_url
from optnas.study.attributes import ARCHITECTURE, BASELINE, RETRY_OF, SEED, is_counted
from optnas.study.fingerprint import check_same_study
from optnas.study.folders import FILES, await_files
from optnas.study.leases import is_alive
from optnas.study.load import load_or_create, load_study
from optnas.study.objectives import Direction, name_objectives
from optnas.study.record import RECORD, Overrides, StudyRecord, search_record
from optnas.study.seeds import study_seed
from optnas.utils.text import plural

OF_STUDY = ("dashboard:note_", "artifacts:")
"""How Optuna's attributes of a study begin that hold what its users wrote or added about it."""

log = logging.getLogger("optnas")


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
    older = checked_sampling(search, objective)
    # Last, so that a refused search leaves no empty database behind.
    storage = search.storage
    if not isinstance(storage, BaseStorage):
        storage = open_storage(search.location.current_url, create=True, settled=ARCHITECTURE)
    study, made = load_or_create(storage, search.study_name, objective.directions)
    old = search_record(study)
    anew = takes_new_settings(study, search, fingerprint)
    if anew:
        study, made = _begin_anew(study, old, objective.directions)
    accepted: list[str] = []
    if not made:
        await_files(study)
        changes = check_same_study(study, objective.directions, fingerprint, accept_changes)
        if changes:
            accepted.append(f"from trial {len(study.get_trials(deepcopy=False))}: {changes}")
    objective.open_folders(study)
    if anew and made and objective.checkpoints:
        shutil.rmtree(objective.checkpoints, ignore_errors=True)  # of other networks
    name_objectives(study, objective.objectives)
    objective.keep_reference(study)
    same_space = old.fingerprint.get("code of the space") == search.code
    new = StudyRecord(
        version=version("optnas"),
        file=str(search.root / search.file) if search.file else old.file,
        fingerprint=fingerprint,
        overrides=old.overrides.updated(overrides or Overrides()),
        scores=(*objective.evaluator.provides, *(m.name for m in search.metrics)),
        accepted=(*old.accepted, *accepted),
        size=(old.size if same_space else "") or size_text(search.space),
        retrains=not why_no_retraining(objective.evaluator),
    )
    _give_sampler(study, search, objective, older)
    sweep(objective.checkpoints, study)
    if new != old:
        study.set_user_attr(RECORD, new.stored())
    return study


def checked_sampling(search: Settings, objective: Objective) -> Source | None:
    """The older study that is learned from, if there is one.

    Raises:
        InputError: It can't be learned from, or the sampler can't be used for this search.
    """
    directions = [StudyDirection[d.upper()] for d in objective.directions]
    if isinstance(search.sampler, HistorySampler):
        search.sampler.check_objectives(objective.objectives, directions)
        search.sampler.fill_in(objective.suggest, objective.preview)
    if search.sampler == "gradient" or isinstance(search.sampler, GradientSampler):
        check_relaxable(search.space, objective.evaluator)
    older = open_older(search.warm_start, search.location, search.study_name)
    if older is not None:
        older.match(objective.objectives, directions)
    return older


def join_study(search: Settings, objective: Objective, *, accept_changes: bool = False) -> Study:
    """Opens the study that another process has made for this search.

    Raises:
        InputError: Numbers would differ here from those of the study (another GPU, an edited file).
    """
    older = open_older(search.warm_start, search.location, search.study_name)
    storage = open_storage(search.location.current_url, create=True, settled=ARCHITECTURE)
    study = load_study(storage, search.study_name)
    if study is None:
        raise InputError(f"study {search.study_name!r} is gone from {shown_url(search.url)}")
    found = search.fingerprint(objective)
    check_same_study(study, objective.directions, found, accept_changes, joins=True)
    objective.open_folders(study)
    _give_sampler(study, search, objective, older)
    return study


def existing_study(search: Settings) -> Study | None:
    """The study if it is there, only to be read."""
    if isinstance(search.storage, BaseStorage):
        return load_study(search.storage, search.study_name)
    try:
        return load_study(open_storage(search.location.current_url), search.study_name)
    except NoStudyError:
        return None


def remembered_overrides(search: Settings) -> Overrides:
    """The settings that earlier runs of the study overrode."""
    study = existing_study(search) if search.url else None
    return search_record(study).overrides if study else Overrides()


def takes_new_settings(study: Study, search: Settings, fingerprint: Mapping[str, str]) -> bool:
    """Whether a study has no result that new settings could be mixed with, and gets new ones."""
    old, seed = search_record(study).fingerprint, given_seed(search)
    trials = study.get_trials(deepcopy=False)
    if not old or any(is_counted(trial) or is_alive(trial) for trial in trials):
        return False
    return old != fingerprint or seed not in (None, study.user_attrs.get(SEED, seed))


def _begin_anew(
    study: Study, old: StudyRecord, directions: Sequence[Direction]
) -> tuple[Study, bool]:
    """Replaces a study without results by a new one, because Optuna fixes directions and choices.

    The user's own attributes, note and files, queued trials and the names of its files are kept.

    Args:
        study: The study.
        old: Its record when that was decided.
        directions: Those of the new one.

    Returns:
        The new study, and whether it was made here: another process may have been quicker.
    """
    storage = study._storage
    with suppress(KeyError):  # another process has deleted it just now
        if (
            search_record(study) == old
        ):  # or has made a new one, to which SQLite gave the same number
            trials, attributes = study.get_trials(deepcopy=False), study.user_attrs
            system = storage.get_study_system_attrs(study._study_id)
            storage.delete_study(study._study_id)
            new, made = load_or_create(storage, study.study_name, directions)
            if made:
                _take_over(new, trials, attributes, system)
            return new, made
    return load_or_create(storage, study.study_name, directions)


def _take_over(
    study: Study,
    trials: Sequence[FrozenTrial],
    attributes: Mapping[str, Any],
    system: Mapping[str, Any],
) -> None:
    """Gives a new study what its users have added to the one that it replaces."""
    finished = sum(t.state.is_finished() for t in trials)
    without = f" (without {plural(finished, 'trial')} that failed or broke a bound)"
    log.warning(
        "study %r has no network with a result yet, and other settings: it begins anew with "
        "those of now%s",
        study.study_name,
        without if finished else "",
    )
    for key, value in attributes.items():
        if key == FILES or not key.startswith("optnas"):
            study.set_user_attr(key, value)
    for key, value in system.items():
        if key.startswith(OF_STUDY):
            study._storage.set_study_system_attr(study._study_id, key, value)
    for trial in trials:
        if trial.state == TrialState.WAITING and not trial.user_attrs.keys() & {BASELINE, RETRY_OF}:
            study.add_trial(trial)


def given_seed(search: Settings) -> int | None:
    """The seed of a search, or of its sampler."""
    sampler = search.sampler
    own = sampler.seed if isinstance(sampler, HistorySampler) else None
    return own if search.seed is None else search.seed


def _give_sampler(
    study: Study, search: Settings, objective: Objective, older: Source | None
) -> None:
    sampler = search.sampler
    seed = study_seed(study, given_seed(search))
    if isinstance(sampler, str):
        study.sampler = make_sampler(sampler, seed)
    elif isinstance(sampler, HistorySampler):
        study_seed(study, sampler.seed)  # refused if it is another one
        study.sampler = sampler
    else:
        study.sampler = ReseededSampler(lambda _: sampler)
    if isinstance(study.sampler, HistorySampler):
        study.sampler.fill_in(objective.suggest, objective.preview)
    if isinstance(study.sampler, GradientSampler):
        study.sampler.train_with(objective.relaxation)
    if isinstance(study.sampler, PredictorSampler):
        source = study.sampler.learn_from(older)
        if source is not None:
            source.taught(study)  # at once: workers take the same trials
