"""What a study remembers, so that it can be found, resumed, and kept comparable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from optuna.study import Study

from optnas.errors import InputError
from optnas.study.attributes import SHARED_WEIGHTS

if TYPE_CHECKING:
    from optnas.study.objectives import Direction

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
    early_stop: bool | None = None
    trial_timeout: float | None = None
    max_failures: int | None = None
    evaluator: str | None = None

    def updated(self, later: Overrides) -> Overrides:
        """These, with those that are given later in their place."""
        return replace(self, **later.given())

    def given(self) -> dict[str, Any]:
        """Those that aren't None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def as_options(overrides: Mapping[str, Any]) -> dict[str, str]:
    """Overrides as options of the command line, each with its value; a switch has none."""
    found = {}
    for name, value in overrides.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            found[f"--{option}" if value else f"--no-{option}"] = ""
        else:
            found[f"--{option}"] = str(value)
    return found


def record_of(study: Study) -> dict[str, Any]:
    """What a study remembers; what somebody else wrote there in another form is left out."""
    found = study.user_attrs.get(RECORD)
    if not isinstance(found, dict):
        return {}
    return {key: found[key] for key, fits in _FORMS.items() if key in found and fits(found[key])}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_FORMS: dict[str, Callable[[Any], bool]] = {
    "version": _is_text,
    "file": _is_text,
    "fingerprint": lambda v: isinstance(v, dict) and all(map(_is_text, v.values())),
    "overrides": lambda v: isinstance(v, dict),
    "scores": _are_texts,
    "accepted": _are_texts,
    "size": _is_text,
}


def overrides_of(study: Study) -> Overrides:
    """What was overridden in earlier runs of a study."""
    found = record_of(study).get("overrides", {})
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
    """Raises InputError if going on would mix numbers that can't be compared.

    Returns:
        The differences that were accepted; empty if there are none.
    """
    record = record_of(study)
    where = f"there is a study {study.study_name!r} in this storage already"
    other = "give another --name or --storage to start a new one"
    if "fingerprint" not in record:
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


def check_same_weights(study: Study, digest: str, accept_changes: bool) -> None:
    """Raises InputError if the study's scores rest on other shared weights than those here.

    Args:
        study: The study; it remembers the first ones.
        digest: The hash of those here; empty where scores rest on no such thing.
        accept_changes: Whether those here may take the place of the others.
    """
    known = study.user_attrs.get(SHARED_WEIGHTS)
    if known == digest or not digest:
        return
    if known is not None and not accept_changes:
        raise InputError(
            f"the trials of study {study.study_name!r} were scored with the shared weights {known},"
            f" and those here are {digest}: put the study's folder {study.study_name}_shared back "
            "(or copy it here from where the study was begun), or go on all the same with "
            "--accept-changes"
        )
    study.set_user_attr(SHARED_WEIGHTS, digest)


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
