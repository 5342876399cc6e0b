"""The networks of a study that were retrained and scored on the test part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from optuna.study import Study

from optnas.study.notes import Note, add_note, notes
from optnas.utils.mean_sd import Spread

RETRAINED = "retrained"
"""The kind of note."""


@dataclass(frozen=True)
class Run:
    """One final training, with one seed.

    Attributes:
        settings: Tells retrainings of one trial apart: a hash of all that decides their outcome.
        architecture: The network.
        recipe: How it was trained.
        evaluator: By what: data, epochs and so on.
        number: The number of the seed: 0, 1, …
        seed: The seed itself.
        scores: On the test part; empty if the training failed.
        failure: Why it failed; else empty.
        weights: Path of the weights below the folder of retrained networks; empty without any.
        sha256: Of the file of the weights; empty in studies of older versions.
        train_seconds: How long it took, without what was lost with a killed process.
        device: Where it was trained.
        versions: Of the packages.
        finished: When, as ISO 8601 in UTC.
    """

    settings: str
    architecture: str
    recipe: str
    evaluator: Mapping[str, str]
    number: int
    seed: int
    scores: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
    weights: str = ""
    sha256: str = ""
    train_seconds: float = math.nan
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    finished: str = ""


@dataclass(frozen=True)
class Retrained:
    """A trial's network, retrained with several seeds and the same settings."""

    trial: int
    runs: tuple[Run, ...]
    """By the number of their seeds; there is at least one."""

    @property
    def settings(self) -> str:
        """What tells it from other retrainings of the trial."""
        return self.runs[0].settings

    @property
    def epochs(self) -> str:
        """How long they were trained, in words; or that only the study's own code knows it."""
        number = self.runs[0].evaluator.get("epochs")
        if number is None:
            return "by the study's own code"
        return f"{number} epoch{'' if number == '1' else 's'}"

    @property
    def tested(self) -> bool:
        """Whether it has scores on the test part."""
        return any(run.scores for run in self.runs)

    def spreads(self) -> dict[str, Spread]:
        """Mean and standard deviation over the seeds whose training succeeded, by score."""
        values: dict[str, list[float]] = {}
        for run in self.runs:
            for name, score in run.scores.items():
                values.setdefault(name, []).append(score)
        return {name: Spread.of(found) for name, found in values.items()}

    def summary(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {
            "trial": self.trial,
            "scores": {name: _as_dict(spread) for name, spread in self.spreads().items()},
            "runs": [asdict(run) for run in self.runs],
        }


def retrained(study: Study) -> list[Retrained]:
    """The retrainings of a study, by trial; of one trial the one that was resumed last is last.

    Notes in another form are ignored.
    """
    found = []
    for trial, written in notes(study, RETRAINED).items():
        groups: dict[str, list[Run]] = {}
        for run in filter(None, map(_read, written)):
            group = groups.pop(run.settings, [])
            groups[run.settings] = [*group, run]
        found += [
            Retrained(trial, tuple(sorted(runs, key=lambda r: r.number)))
            for runs in groups.values()
        ]
    return found


def keep_run(study: Study, trial: int, run: Run) -> None:
    """Writes a run into the study, in place of one with the same settings and seed."""
    add_note(
        study,
        RETRAINED,
        trial,
        asdict(run),
        lambda old: (old.get("settings"), old.get("number")) == (run.settings, run.number),
    )


def others_tested(study: Study, trial: int, settings: str) -> str:
    """A sentence if other networks than this one were scored on the test part; else empty.

    Args:
        study: The study.
        trial: This network's trial.
        settings: And the settings of its retraining: another number of epochs is a choice, too.
    """
    others = [
        f"trial {r.trial} ({r.epochs})"
        for r in retrained(study)
        if r.tested and (r.trial, r.settings) != (trial, settings)
    ]
    if not others:
        return ""
    return (
        f"other networks of this study were scored on the test part: {', '.join(others)}; "
        "a choice by these scores would make it a validation part"
    )


def _read(note: Note) -> Run | None:
    try:
        older: Note = {"sha256": ""}  # studies of older versions have no hash
        run = Run(**{f.name: (older | note)[f.name] for f in fields(Run)})
    except KeyError:
        return None
    fits = (
        all(isinstance(getattr(run, f.name), str) for f in fields(Run) if f.type == "str")
        and _is_count(run.number)
        and _is_count(run.seed)
        and isinstance(run.train_seconds, (int, float))
        and _are(run.evaluator, str)
        and _are(run.versions, str)
        and _are(run.scores, (int, float))
        and all(map(math.isfinite, run.scores.values()))
        and bool(run.scores) != bool(run.failure)
        and not Path(run.weights).is_absolute()
        and ".." not in Path(run.weights).parts
    )
    return run if fits else None


def _as_dict(spread: Spread) -> dict[str, float | None]:
    known = math.isfinite(spread.deviation)  # JSON has no NaN
    return {**spread._asdict(), "deviation": spread.deviation if known else None}


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are(value: Any, kind: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, kind) for item in value.values())
