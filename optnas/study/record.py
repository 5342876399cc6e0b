"""What a study remembers, so that it can be found, resumed, and kept comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from optuna.study import Study

from optnas.errors import InputError
from optnas.study.attributes import SHARED_WEIGHTS

if TYPE_CHECKING:
    from optnas.study.objectives import Direction

RECORD = "optnas"
"""The study attribute that holds a `StudyRecord`."""


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
    reference: str | None = None
    warm_start: str | None = None

    def updated(self, later: Overrides) -> Overrides:
        """These overrides, replaced by the later ones where those are given."""
        return replace(self, **later.given())

    def given(self) -> dict[str, Any]:
        """The overrides that aren't None, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def as_options(self) -> dict[str, str]:
        """The same as options of the command line, each with its value; a switch has none."""
        found = {}
        for name, value in self.given().items():
            option = name.replace("_", "-")
            if isinstance(value, bool):
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
            that optnas didn't make.
        overrides: Settings that replaced those of the study file.
        scores: Names of the evaluator's scores and of the user's own metrics.
        accepted: Changes of the fingerprint that the user accepted, and from which trial on.
        size: The number of architectures in the search space, in words; empty if unknown.
    """

    version: str = ""
    file: str = ""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    overrides: Overrides = Overrides()
    scores: Sequence[str] = ()
    accepted: Sequence[str] = ()
    size: str = ""

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
        }


def record_of(study: Study) -> StudyRecord:
    """What a study remembers; a field that other code wrote in another form is left out."""
    found = study.user_attrs.get(RECORD)
    if not isinstance(found, dict):
        return StudyRecord()
    texts = {name: found[name] for name in ("version", "file", "size") if _is_text(found.get(name))}
    fingerprint, overrides = found.get("fingerprint"), found.get("overrides")
    return StudyRecord(
        **texts,
        fingerprint=fingerprint
        if isinstance(fingerprint, dict) and all(map(_is_text, fingerprint.values()))
        else {},
        overrides=_overrides(overrides if isinstance(overrides, dict) else {}),
        scores=_texts(found.get("scores")),
        accepted=_texts(found.get("accepted")),
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
    return kind == _KINDS[name] or (kind == "int" and _KINDS[name] == "float")


def check_same_study(
    study: Study,
    directions: Sequence[Direction],
    fingerprint: Mapping[str, str],
    accept_changes: bool,
) -> str:
    """Raises InputError if resuming the study would mix numbers that can't be compared.

    Returns:
        The differences that were accepted; empty if there are none.
    """
    known = record_of(study).fingerprint
    where = f"there is a study {study.study_name!r} in this storage already"
    other = "give another `name=` or `storage=` to start a new one"
    if not known:
        same = [d.name.lower() for d in study.directions] == list(directions)
        if same and not study.get_trials(deepcopy=False):
            return ""  # made, but interrupted before anything was written
        raise InputError(f"{where}, which wasn't made by optnas: {other}")
    changes = differences(known, fingerprint)
    if not changes:
        return ""
    listed = listing(changes)
    final = [key for key in changes if key in ("objectives", "space")]
    if final:
        raise InputError(f"{where}, but it is another one ({listed}): {other}")
    if not accept_changes:
        raise InputError(
            f"{where}, whose numbers can't be compared with new ones ({listed}): go back to its "
            f"settings, {other}, or continue all the same with `accept_changes=True`"
        )
    return listed


def check_same_weights(study: Study, digest: str, accept_changes: bool) -> None:
    """Raises InputError if the study's scores rest on other shared weights than those here.

    Args:
        study: The study; it remembers the first weights.
        digest: The hash of the weights here; empty for an evaluator that shares none.
        accept_changes: Whether the weights here may replace the others.
    """
    known = study.user_attrs.get(SHARED_WEIGHTS)
    if known == digest or not digest:
        return
    if known is not None and not accept_changes:
        raise InputError(
            f"the trials of study {study.study_name!r} were scored with the shared weights {known},"
            f" and those here are {digest}: put the study's folder of shared weights, NAME_shared, "
            "back (or copy it here from where the study was begun), or continue a search all the "
            "same with `accept_changes=True`"
        )
    study.set_user_attr(SHARED_WEIGHTS, digest)


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The entries in which two fingerprints differ: for each key, the old and the new text."""
    return {
        key: (old.get(key, "nothing"), new.get(key, "nothing"))
        for key in (*old, *(key for key in new if key not in old))
        if old.get(key) != new.get(key)
    }


def listing(changes: Mapping[str, tuple[str, str]]) -> str:
    """The differences between a study and its file, for a message."""
    return "; ".join(f"{key}: {was} there, {now} here" for key, (was, now) in changes.items())
