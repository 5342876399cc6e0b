"""The circumstances of the study: how, when and where it ran. They stand under the question."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto.held_bounds import bound_texts
from optnas.pareto.reference_limits import limits_text
from optnas.pareto.snapshot import Snapshot
from optnas.report.confirmed import Again, standing_text
from optnas.report.labels import Meanings, readable_size
from optnas.samplers.gradient import relaxed_text
from optnas.study.attributes import DUPLICATE_OF, SEED
from optnas.study.describe import state_of
from optnas.study.recipe_text import further_settings
from optnas.study.record import StudyRecord, record_of
from optnas.study.retrainings import retrained
from optnas.utils.text import architectures_text, duration, number, plural

if TYPE_CHECKING:
    from optnas.search.search import Search

_EVALUATORS = {
    "TrainingEvaluator": "",
    "SharedWeightsEvaluator": "all together, with shared weights; for real, where they are "
    "evaluated again:",
}
_STATES = {
    "COMPLETE": "finished",
    "stopped": "stopped early, with no way left to the front",
    "PRUNED": "ended early by a bound",
    "FAIL": "failed",
    "lost": "lost with their process",
    "surplus": "not needed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


def facts(
    study: Snapshot,
    meanings: Meanings,
    search: Search | None,
    fresh: Mapping[int, Again],
) -> dict[str, str]:
    """The circumstances, by label; those that aren't known are left out."""
    trials = study.trials
    record = record_of(study.study)
    fingerprint = record.fingerprint
    sampler, seed = _sampler(search, record), study.study.user_attrs.get(SEED)
    found = {
        "Trials": _states(trials),
        "When": _when(trials),
        "Bounds": "; ".join(bound_texts(trials, fingerprint)),
        "Search space": _space(fingerprint.get("space", ""), record.size),
        "Trained": _evaluation(fingerprint.get("evaluator", ""), meanings.evaluator()),
        "Sampler": sampler,
        "Gradients": relaxed_text(study.study),
        "Seed": "" if seed is None else str(seed),
        "Device": "; ".join(_devices(fingerprint)),
        "Reference": limits_text(study.study, trials),
        "Hypervolume": study.hypervolume_text() if len(study.names) > 1 else "",
        "Fresh seeds": standing_text(fresh.values()),
        "On the test part": _tested(study.study),
    }
    return {label: text for label, text in found.items() if text}


def _tested(study: Study) -> str:
    """The scores on the test part of networks that were retrained."""
    texts = []
    for one in filter(lambda r: r.tested, retrained(study)):
        scores = ", ".join(f"{name} {spread}" for name, spread in one.spreads().items())
        runs = plural(sum(bool(run.scores) for run in one.runs), "seed")
        texts.append(f"trial {one.trial}: {scores} ({one.epochs}, {runs})")
    return "; ".join(texts)


def _states(trials: Sequence[FrozenTrial]) -> str:
    states = Counter(map(state_of, trials))
    parts = [f"{number(states[key])} {text}" for key, text in _STATES.items() if states[key]]
    same = sum(DUPLICATE_OF in t.user_attrs for t in trials)
    if same:
        parts.append(f"{number(same)} of them with the values of an earlier, equal one")
    return ", ".join(parts) or "none yet"


def _when(trials: Sequence[FrozenTrial]) -> str:
    begun = [t.datetime_start for t in trials if t.datetime_start]
    ended = [t.datetime_complete for t in trials if t.datetime_complete]
    if not begun:
        return ""
    busy = sum(t.duration.total_seconds() for t in trials if t.duration)
    first, last = min(begun), max([*begun, *ended])
    return f"{_span(first, last)}; {duration(busy)} of work in all"


def _span(first: datetime, last: datetime) -> str:
    end = "%H:%M" if first.date() == last.date() else "%Y-%m-%d %H:%M"
    return f"{first:%Y-%m-%d %H:%M} to {last:{end}}"


def _space(space: str, size: str) -> str:
    known = readable_size(size)
    parts = [space.split("(")[0], architectures_text(known or size) if size else ""]
    return ": ".join(part for part in parts if part)


def _evaluation(evaluator: str, settings: dict[str, str]) -> str:
    parts = [_EVALUATORS.get(evaluator, evaluator)]
    if "epochs" in settings:
        parts.append(f"{settings['epochs']} epochs")
    if "data" in settings:
        parts.append(f"on {_data(settings['data'])}")
    if recipe := further_settings(settings.get("recipe", "")):
        parts.append(f"with {', '.join(f'{name} {value}' for name, value in recipe.items())}")
    return " ".join(part for part in parts if part)


def _data(fingerprint: str) -> str:
    """Name and sizes of the parts, as `datasets` writes them; the hash is left to the settings."""
    found = re.fullmatch(r"(.+) (\d+)/(\d+)/(\d+) [0-9a-f]+", fingerprint)
    if found is None:
        return fingerprint
    train, val, test = (number(float(n)) for n in found.groups()[1:])
    return f"{found[1]} ({train} examples to train, {val} to validate, {test} held back)"


def _sampler(search: Search | None, record: StudyRecord) -> str:
    if search is not None:
        sampler = search.sampler
        return sampler if isinstance(sampler, str) else type(sampler).__name__
    return record.overrides.sampler or ""


def _devices(fingerprint: Mapping[str, str]) -> list[str]:
    """The devices that metrics were measured on."""
    return list(
        dict.fromkeys(
            value for key, value in fingerprint.items() if key.endswith(" device_name") and value
        )
    )
