"""What a search tells its workers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from optnas.evaluators.by_name import name_of
from optnas.objective.target import as_target, target_text
from optnas.runs.worker_process import Job
from optnas.search.settings import Settings
from optnas.study.record import Overrides
from optnas.study.reference import reference_text


def job_of(search: Settings, *, accept_changes: bool, epochs: bool) -> Job:
    """The job of the workers of a search, which has a study file.

    Args:
        search: The search.
        accept_changes: Whether settings may differ from the study's.
        epochs: Whether workers report each epoch.
    """
    assert search.file is not None
    return Job(
        file=str(search.root / search.file),
        url=search.location.absolute_url,
        name=search.study_name,
        overrides=overrides_for_workers(search),
        accept_changes=accept_changes,
        epochs=epochs,
        folder=str(search.root),
    )


def overrides_for_workers(search: Settings) -> dict[str, Any]:
    """The settings that workers must take from here instead of the study file."""
    settings = {f.name: getattr(search, f.name) for f in fields(Overrides)}
    settings["settings"] = dict(search.settings)
    settings["evaluator"] = name_of(search.evaluator) or None
    settings["target"] = target_text(as_target(search.target))
    settings["reference"] = reference_text(search.reference) or None
    return {k: v for k, v in settings.items() if isinstance(v, (int, float, str, dict))}
