"""What a study keeps of the answers of a language model (part of `language_model`).

The answer is kept with its trial, so that a retry repeats it and nothing is asked twice. What the
requests took is kept there too, so that limits hold across resumes and workers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.samplers.ask import Ask
from optnas.samplers.language_model.answer import read_note
from optnas.study.attributes import LANGUAGE_MODEL_NOTE
from optnas.utils.text import number, plural

RECORD = "optnas:language_model"
"""The system attribute of a trial: a `Record` as a dictionary."""
LONGEST_NOTE = 1500
"""Characters of the note."""


@dataclass(frozen=True)
class Record:
    """What a trial's requests took, and what came of them.

    Attributes:
        requests: The number of requests, with those that are under way.
        tokens: What they took.
        params: The parameters that were answered; None before there is an answer.
        failed: Why there is no answer; empty if there is one.
    """

    requests: int = 0
    tokens: int = 0
    params: dict[str, Any] | None = None
    failed: str = ""

    @property
    def decided(self) -> bool:
        """Whether the question has been put, with or without success."""
        return self.params is not None or bool(self.failed)

    def keep(self, ask: Ask) -> Record:
        """Stores it with the trial."""
        ask.mark(RECORD, asdict(self))
        return self


def record_of(trial: FrozenTrial) -> Record:
    """What a trial keeps; other programs may write there, so each part is checked."""
    kept = trial.system_attrs.get(RECORD)
    if not isinstance(kept, dict):
        return Record()
    params, failed = kept.get("params"), kept.get("failed")
    return Record(
        _count(kept.get("requests")),
        _count(kept.get("tokens")),
        params if isinstance(params, dict) else None,
        failed if isinstance(failed, str) else "",
    )


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def kept_record(ask: Ask) -> Record:
    """What the trial keeps; of a trial without an answer, that of a trial at the same place."""
    own, other = Record(), Record()
    for trial in all_trials(ask.history.study):
        if RECORD not in trial.system_attrs or ask.history.place(trial) != ask.place:
            continue
        record = record_of(trial)
        if ask.is_of(trial):
            own = record
        elif record.decided:
            other = record
    if own.decided or not other.decided:
        return own
    return Record(own.requests, own.tokens, other.params, other.failed)


def all_trials(study: Study) -> list[FrozenTrial]:
    """All trials, whatever became of them."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def used(trials: Iterable[FrozenTrial]) -> tuple[int, int]:
    """The requests and tokens of trials."""
    records = [record_of(trial) for trial in trials if RECORD in trial.system_attrs]
    return sum(r.requests for r in records), sum(r.tokens for r in records)


def usage_text(study: Study) -> str:
    """What a study's requests to a language model took, as a sentence; empty if it made none."""
    requests, tokens = used(all_trials(study))
    if not requests:
        return ""
    return f"{plural(requests, 'request')} to the language model, {number(tokens)} tokens in all"


def note_of(study: Study) -> tuple[int, str]:
    """The number of trials that the study's note was made from, and the note; 0 before any."""
    kept = study.user_attrs.get(LANGUAGE_MODEL_NOTE)
    if not isinstance(kept, dict) or not isinstance(kept.get("text"), str):
        return 0, ""
    return _count(kept.get("trials")), read_note(kept["text"], LONGEST_NOTE)


def keep_note(study: Study, trials: int, text: str) -> None:
    """Stores a note, and the number of trials that it was made from."""
    study.set_user_attr(LANGUAGE_MODEL_NOTE, {"trials": trials, "text": text})
