"""What a study remembers about its making: its file, fingerprint and overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from optuna.study import Study

RECORD = "optnas"
"""The study attribute that holds the `StudyRecord` of a search."""
MEASURED = "optnas:measured"
"""The same of a study whose objective is the user's own, and measures with optnas."""


@dataclass(frozen=True)
class Overrides:
    """Settings that replace those of the study file; the study remembers them. None keeps one."""

    trials: int | None = None
    hours: float | None = None
    until_flat: int | None = None
    sampler: str | None = None
    seed: int | None = None
    device: str | None = None
    epochs: int | None = None
    early_stop: bool | None = None
    trial_timeout: float | None = None
    max_failures: int | None = None
    evaluator: str | None = None
    target: str | None = None
    reference: str | None = None
    warm_start: str | None = None
    settings: dict[str, str] | None = None

    def updated(self, later: Overrides) -> Overrides:
        """These overrides, replaced by the later ones where those are given.

        Of `settings`, each is replaced by itself; an empty one takes the study file's again.
        """
        merged = (self.settings or {}) | (later.settings or {})
        kept = {name: text for name, text in merged.items() if text}
        return replace(self, **later.given() | {"settings": kept or None})

    def given(self) -> dict[str, Any]:
        """The overrides that aren't None, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def as_options(self) -> dict[str, str]:
        """The same as options of the command line, each with its value; a switch has none."""
        found: dict[str, str] = {}
        for name, value in self.given().items():
            option = name.replace("_", "-")
            if isinstance(value, dict):  # one option for each of them
                found |= {f"--set={setting}={text}": "" for setting, text in value.items()}
            elif isinstance(value, bool):
                found[f"--{option}" if value else f"--no-{option}"] = ""
            else:
                found[f"--{option}"] = str(value)
        return found


@dataclass(frozen=True)
class StudyRecord:
    """What optnas keeps in a study about its making.

    Attributes:
        version: The version of optnas that last opened the study to run it.
        file: The study file; empty for a search that was made in Python.
        fingerprint: What must stay the same for the numbers to be comparable; empty in a study
            for which optnas measured nothing.
        overrides: Settings that replaced those of the study file.
        scores: Names of the evaluator's scores and of the user's own metrics.
        accepted: Changes of the fingerprint that the user accepted, and from which trial on.
        size: The number of architectures in the search space, in words; empty if unknown.
        retrains: Whether the evaluator can retrain a network; None if an earlier version of optnas,
            or none, ran the study.
    """

    version: str = ""
    file: str = ""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    overrides: Overrides = Overrides()
    scores: Sequence[str] = ()
    accepted: Sequence[str] = ()
    size: str = ""
    retrains: bool | None = None

    def stored(self) -> dict[str, Any]:
        """The record as it is stored: JSON."""
        return {
            "version": self.version,
            "file": self.file,
            "fingerprint": dict(self.fingerprint),
            "overrides": self.overrides.given(),
            "scores": list(self.scores),
            "accepted": list(self.accepted),
            "size": self.size,
        } | ({} if self.retrains is None else {"retrains": self.retrains})


def record_of(study: Study) -> StudyRecord:
    """What a study remembers; a field that other code wrote in another form is left out.

    It is the record of its search, or of the measurements in an objective of the user's own.
    """
    attrs = study.user_attrs
    return _read(attrs.get(RECORD, attrs.get(MEASURED)))


def search_record(study: Study) -> StudyRecord:
    """The record of a study's search; an empty one if no search made the study."""
    return _read(study.user_attrs.get(RECORD))


def _read(found: Any) -> StudyRecord:
    if not isinstance(found, dict):
        return StudyRecord()
    texts = {name: found[name] for name in ("version", "file", "size") if _is_text(found.get(name))}
    fingerprint, overrides = found.get("fingerprint"), found.get("overrides")
    retrains = found.get("retrains")
    return StudyRecord(
        **texts,
        fingerprint=fingerprint
        if isinstance(fingerprint, dict) and all(map(_is_text, fingerprint.values()))
        else {},
        overrides=_overrides(overrides if isinstance(overrides, dict) else {}),
        scores=_texts(found.get("scores")),
        accepted=_texts(found.get("accepted")),
        retrains=retrains if isinstance(retrains, bool) else None,
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) and all(map(_is_text, value)) else ()


def _overrides(found: Mapping[str, Any]) -> Overrides:
    return Overrides(**{name: found[name] for name in _KINDS if _fits(name, found.get(name))})


_KINDS = {field.name: str(field.type).removesuffix(" | None") for field in fields(Overrides)}


def _fits(name: str, value: Any) -> bool:
    kind = type(value).__name__
    if kind == "dict":
        return name == "settings" and all(_is_text(text) for text in value.values())
    return kind == _KINDS[name] or (kind == "int" and _KINDS[name] == "float")
