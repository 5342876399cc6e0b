"""Notes on finished trials.

Optuna doesn't let the attributes of a finished trial change, so notes are kept on the study: a list
of dictionaries under the attribute `KIND:TRIAL`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.study import Study

Note = dict[str, Any]


def notes(study: Study, kind: str) -> dict[int, list[Note]]:
    """The notes of a kind by the number of the trial, oldest first; only of trials that exist.

    Attributes in another form are ignored.
    """
    found: dict[int, list[Note]] = {}
    trials = len(study.get_trials(deepcopy=False))
    for key, value in study.user_attrs.items():
        of, _, trial = key.partition(":")
        if of == kind and trial.isdecimal() and int(trial) < trials and isinstance(value, list):
            found[int(trial)] = [note for note in value if isinstance(note, dict)]
    return dict(sorted(found.items()))


def add_note(
    study: Study, kind: str, trial: int, note: Note, replaces: Callable[[Note], bool]
) -> None:
    """Adds a note on a trial.

    Args:
        study: The study.
        kind: The kind of note.
        trial: The number of the trial.
        note: Values that JSON can hold.
        replaces: Whether it replaces a note that the trial has.
    """
    kept = [old for old in notes(study, kind).get(trial, []) if not replaces(old)]
    study.set_user_attr(f"{kind}:{trial}", [*kept, note])
