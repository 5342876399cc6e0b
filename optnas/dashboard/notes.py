"""Notes on trials for Optuna's dashboard, in Markdown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import dominates, losses
from optnas.pareto.snapshot import Snapshot
from optnas.study.attributes import DETAIL, RECIPE
from optnas.study.describe import facts_text
from optnas.study.recipe_text import shown_recipe, shown_settings
from optnas.study.record import record_of
from optnas.study.trial_order import in_order_of_completion
from optnas.utils.markdown import plain, table, wrapped
from optnas.utils.text import definitions, number

WIDTH = 110
"""Characters of a line: the dashboard makes a trial's page as wide as its longest attribute."""
_MARKED = re.compile(r"(.*)\n\n\[//\]: # \(optnas ([0-9a-f]{12})\)\s*", re.DOTALL)


def marked(text: str) -> str:
    """A note with a hidden mark, by which `is_untouched` recognises it."""
    return f"{text}\n\n[//]: # (optnas {_digest(text)})"


def is_untouched(note: str) -> bool:
    """Whether a note is as `marked` made it: no user has edited it since."""
    found = _MARKED.fullmatch(note)
    return found is not None and _digest(found[1]) == found[2]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Notes:
    """Notes on the trials of a study, as it is now.

    Attributes:
        trials: The trials that can have a note: the COMPLETE ones.
    """

    def __init__(self, study: Study | Snapshot) -> None:
        seen = Snapshot.of(study)
        self.trials = seen.complete
        self._seen = seen
        self._names = seen.names
        self._better = ["more" if more else "less" for more in seen.maximized]
        self._record = record_of(seen.study)
        self._architectures = {n: record for record in seen.architectures for n in record.trials}
        self._feasible = in_order_of_completion(seen.feasible)
        self._losses = losses([t.values for t in self._feasible], seen.directions)

    def of(self, trial: FrozenTrial) -> str:
        """The note on a COMPLETE trial: its place, its measurements, its architecture.

        It changes seldom, so the dashboard needn't write it again after each trial that finishes.
        """
        named = {name for name in self._names if name in trial.user_attrs}
        parts = [
            self._standing(trial),
            self._measurements(trial),
            *self._settings(trial),
            wrapped(definitions(named), WIDTH),
            *self._architecture(trial),
            self._parameters(trial),
        ]
        return marked("\n\n".join(filter(None, parts)))

    def _standing(self, trial: FrozenTrial) -> str:
        names = plain(", ".join(self._names))
        (own,) = losses([trial.values], self._seen.directions)
        better = np.flatnonzero(dominates(self._losses, own))
        if len(better):  # the first trial to dominate it, which stays the first
            first = self._feasible[better[0]].number
            return f"Not on the Pareto front of {names} any more: trial {first} dominates it."
        text = f"On the **Pareto front** of {names}."
        baselines = self._seen.baselines
        if not baselines:
            return text
        dominated = [
            f"{record.baseline} (trial {record.number})"
            for record in baselines
            if trial.number in record.dominated_by
        ]
        listed = plain(", ".join(dominated)) or "none"
        return f"{text} Of {len(baselines)} baselines it dominates: {listed}."

    def _measurements(self, trial: FrozenTrial) -> str:
        rows = [
            (f"{name} ({better} is better)", number(value))
            for name, better, value in zip(self._names, self._better, trial.values, strict=True)
        ]
        rows += [
            (name, number(trial.user_attrs[name]))
            for name in self._record.scores
            if name not in self._names and isinstance(trial.user_attrs.get(name), (int, float))
        ]
        return table([("measured", "value"), *((plain(name), value) for name, value in rows)])

    def _settings(self, trial: FrozenTrial) -> Iterable[str]:
        """The settings of the evaluator, and those of the metrics."""
        known = shown_settings(self._record.fingerprint)
        found = _of("evaluator", known)
        if RECIPE in trial.user_attrs:
            found["recipe"] = shown_recipe(str(trial.user_attrs[RECIPE]))
        yield _facts(known.get("evaluator", "evaluator"), found)
        for name in dict.fromkeys((*self._names, *self._record.scores)):
            details = trial.user_attrs.get(f"{DETAIL}{name}")
            yield _facts(name, _of(name, known) | (details if isinstance(details, dict) else {}))

    def _architecture(self, trial: FrozenTrial) -> Iterable[str]:
        record = self._architectures[trial.number]
        yield wrapped(f"architecture: {record.architecture}", WIDTH)
        others = ", ".join(str(n) for n in record.trials if n != trial.number)
        yield wrapped(f"other trials of it: {others}" if others else "", WIDTH)

    def _parameters(self, trial: FrozenTrial) -> str:
        rows = [(plain(name), plain(str(value))) for name, value in trial.params.items()]
        return table([("parameter", "value"), *rows]) if rows else ""


def _of(name: str, fingerprint: Mapping[str, str]) -> dict[str, Any]:
    prefix = f"{name} "
    return {k.removeprefix(prefix): v for k, v in fingerprint.items() if k.startswith(prefix)}


def _facts(of: str, facts: Mapping[str, Any]) -> str:
    listed = facts_text(facts)
    return wrapped(f"{of}: {listed}", WIDTH) if listed else ""
