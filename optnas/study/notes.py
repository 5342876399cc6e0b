"""What was found out about a trial after it had finished.

Optuna doesn't let the attributes of a finished trial change, so it stands on the study: a list of
dictionaries under the attribute `KIND:TRIAL`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.study import Study

Note = dict[str, Any]


def notes(study: Study, kind: str) -> dict[int, list[Note]]:
    """The notes of a kind by the number of the trial, oldest first; of trials that there are.

    What somebody else wrote there in another form is left out.
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
        kind: What it is about.
        trial: The number of the trial.
        note: What JSON can hold.
        replaces: Which of the trial's notes it takes the place of.
    """
    kept = [old for old in notes(study, kind).get(trial, []) if not replaces(old)]
    study.set_user_attr(f"{kind}:{trial}", [*kept, note])
