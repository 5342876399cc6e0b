"""What a search is, and how far its study is, as a table for notebooks."""

from __future__ import annotations

from collections import Counter

from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study

from optnas.errors import InputError, NoStudyError
from optnas.objective.target import as_target, target_text
from optnas.search.settings import Settings
from optnas.search_spaces.size import size_text
from optnas.storage.open import open_storage
from optnas.storage.urls import shown_url
from optnas.study.attributes import is_counted
from optnas.study.describe import state_of
from optnas.study.load import load_study
from optnas.study.record import search_record
from optnas.utils.html import table
from optnas.utils.text import number, plural


def search_html(search: Settings) -> str:
    """The settings of a search, the size of its space, its storage, and the state of its study.

    Nothing is made: a study that doesn't exist yet is said to be not begun.
    """
    study, state = _state(search)
    kept = search_record(study) if study is not None else None
    is_same = kept is not None and kept.fingerprint.get("code of the space") == search.code
    sampler, target = search.sampler, as_target(search.target)
    facts = {
        "space": repr(search.space),
        "networks": (kept.size if kept is not None and is_same else "") or size_text(search.space),
        "evaluator": repr(search.evaluator),
        "objectives": ", ".join(search.objectives),
        "bounds": ", ".join(f"{name} {number(value)}" for name, value in search.bounds.items()),
        "target": "" if target is None else target_text(target),
        "baselines": ", ".join(search.baselines),
        "sampler": repr(sampler) if isinstance(sampler, BaseSampler) else sampler,
        "trials": number(search.trials),
        "device": search.device,
        "listeners": ", ".join(map(repr, search.listeners)),
        "storage": shown_url(search.url) or repr(search.storage),
        "state": state,
    }
    rows = [[name, text] for name, text in facts.items() if text]
    return table([], rows, title=f"Search {search.study_name}", left=(0, 1))


def _state(search: Settings) -> tuple[Study | None, str]:
    """The study, if there is one, and how far it is."""
    try:
        storage = search.storage
        if not isinstance(storage, BaseStorage):
            storage = open_storage(search.location.current_url)
        study = load_study(storage, search.study_name)
    except NoStudyError:
        study = None
    except InputError as error:
        return None, f"the study can't be opened: {error}"
    if study is None:
        return None, "not begun: run() begins it"
    trials = study.get_trials(deepcopy=False)
    counted = sum(map(is_counted, trials))
    states = Counter(state_of(trial).lower() for trial in trials)
    listed = ", ".join(f"{count} {state}" for state, count in states.items())
    wanted = plural(search.trials, "trial")
    return study, f"{counted} of {wanted} done" + (f" ({listed})" if listed else "")
