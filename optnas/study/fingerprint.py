"""Whether a search still fits a study: its fingerprint is compared with the one that is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optuna.study import Study

from optnas.errors import InputError
from optnas.study.attributes import SHARED_WEIGHTS
from optnas.study.record import MEASURED, RECORD, StudyRecord, record_of, search_record

_HASH = re.compile(r"\b[0-9a-f]{12}\b")
_WEIGHTS = re.compile(r"with weights (\w+)")

if TYPE_CHECKING:
    from optnas.study.objectives import Direction


_ANEW = (
    "it imports the study file anew, which must give the same. If the file was edited meanwhile, "
    "go back to its settings"
)
"""Why a worker process has to find the same settings, and one reason why it doesn't."""


def check_same_import(here: Mapping[str, str], worker: Mapping[str, str]) -> None:
    """Raises InputError if a worker process finds other settings than there are here.

    Args:
        here: The fingerprint of the search in this process.
        worker: That of the search that a worker process imported.
    """
    changes = differences(here, worker)
    if changes:
        raise InputError(
            f"a worker process finds other settings than this one ({listing(changes)}): "
            f"{_ANEW}{_drawn_anew(changes)}"
        )


def check_same_study(
    study: Study,
    directions: Sequence[Direction],
    fingerprint: Mapping[str, str],
    accept_changes: bool,
    *,
    joins: bool = False,
) -> str:
    """Raises InputError if resuming the study would mix numbers that can't be compared.

    Args:
        study: The study.
        directions: Those of the objectives here.
        fingerprint: The settings here.
        accept_changes: Whether to resume all the same.
        joins: Whether this is a worker process that was started for the study.

    Returns:
        The differences that were accepted; empty if there are none.
    """
    known = search_record(study).fingerprint
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
    listed, drawn = listing(changes), _drawn_anew(changes)
    if joins and not accept_changes:
        raise InputError(
            f"a worker process finds other settings than study {study.study_name!r} was opened "
            f"with ({listed}): {_ANEW}{drawn}"
        )
    final = [key for key in changes if key in ("objectives", "space")]
    if final:
        raise InputError(f"{where}, but it is another one ({listed}): {other}{drawn}")
    if not accept_changes:
        raise InputError(
            f"{where}, whose numbers can't be compared with new ones ({listed}): go back to its "
            f"settings, {other}, or continue all the same with `accept_changes=True`{drawn}"
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


def note_settings(
    study: Study, trial: int, fingerprint: Mapping[str, str], scores: Sequence[str]
) -> str:
    """Keeps the settings with which an objective of the user's own measures.

    Args:
        study: The study; one of a search stays as it is.
        trial: The number of the running trial.
        fingerprint: The settings. The study keeps the first that it is told of each.
        scores: See `StudyRecord`.

    Returns:
        The settings that differ from the first ones, unless the study knew that; else nothing.
    """
    if RECORD in study.user_attrs:
        return ""
    old = record_of(study)
    settings = {**fingerprint, **old.fingerprint}
    changes = listing(differences(settings, {**settings, **fingerprint}))
    known = any(change.endswith(f": {changes}") for change in old.accepted)
    accepted = () if known or not changes else (f"from trial {trial}: {changes}",)
    new = StudyRecord(
        fingerprint=settings,
        retrains=False,  # there is no search that could
        scores=tuple(dict.fromkeys((*old.scores, *scores))),
        accepted=(*old.accepted, *accepted),
    )
    if new != old:
        study.set_user_attr(MEASURED, new.stored())
    return "".join(accepted)


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The entries in which two fingerprints differ: for each key, the old and the new text."""
    return {
        key: (old.get(key, "nothing"), new.get(key, "nothing"))
        for key in (*old, *(key for key in new if key not in old))
        if old.get(key) != new.get(key)
    }


def _drawn_anew(changes: Mapping[str, tuple[str, str]]) -> str:
    """A way out if data, or given weights, differ in their numbers alone."""
    given = [changes[key] for key in ("evaluator data", "evaluator distillation") if key in changes]
    drawn = any(_HASH.sub("", old) == _HASH.sub("", new) for old, new in given)
    if not drawn and _other_weights(changes) is None:
        return ""
    return (
        "; if data or weights are drawn at random at each import, set a seed before they are made "
        "(torch.manual_seed(0))"
    )


def _other_weights(changes: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """The hashes of the weights that two spaces were given, if they differ in nothing else."""
    old, new = changes.get("space", ("", ""))
    was, now = _WEIGHTS.search(old), _WEIGHTS.search(new)
    if was is None or now is None or _WEIGHTS.sub("", old) != _WEIGHTS.sub("", new):
        return None
    return was[1], now[1]


def listing(changes: Mapping[str, tuple[str, str]]) -> str:
    """The differences between a study and its file, for a message."""
    weights = _other_weights(changes)
    if weights is not None:  # the hash of such a space's code has the weights in it
        others = {k: v for k, v in changes.items() if k not in ("space", "code of the space")}
        changes = {"weights given to the space": weights, **others}
    return "; ".join(f"{key}: {was} there, {now} here" for key, (was, now) in changes.items())
