"""Notes on trials for Optuna's dashboard, in Markdown."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.dominance import losses
from optnas.pareto import (
    baselines,
    complete_trials,
    entries,
    feasible_trials,
    in_order_of_completion,
    maximized,
    objective_names,
)
from optnas.record import record_of
from optnas.text import definitions, number
from optnas.trials import DETAIL, RECIPE

WIDTH = 110
"""Characters of a line: the dashboard makes a trial's page as wide as its longest attribute."""
_SPECIAL = re.compile(r"[\\`*\[\]<>&|~$#]|(?<![a-zA-Z0-9])_|_(?![a-zA-Z0-9])")
_START = re.compile(r"(?m)^(?:(\d+)(?=[.)](?:\s|$))|(?=[-+=:]))")
_LINK = re.compile(r"://|www\.|@", re.IGNORECASE)
_MARKED = re.compile(r"(.*)\n\n\[//\]: # \(optnas ([0-9a-f]{12})\)\s*", re.DOTALL)


def escaped(text: object) -> str:
    """Text that Markdown shows to the letter, on one line, and makes no link of."""
    line = " ".join(str(text).split())
    unlinked = _LINK.sub(lambda m: f"{m[0][0]}\u2060{m[0][1:]}", line)  # a joiner of no width
    return _SPECIAL.sub(r"\\\g<0>", unlinked)


def marked(text: str) -> str:
    """A note with a mark that isn't shown, by which `is_untouched` knows it."""
    return f"{text}\n\n[//]: # (optnas {_digest(text)})"


def is_untouched(note: str) -> bool:
    """Whether a note stands as `marked` made it: nobody has edited it since."""
    found = _MARKED.fullmatch(note)
    return found is not None and _digest(found[1]) == found[2]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Notes:
    """Notes on the trials of a study, as it is now.

    Attributes:
        trials: Those on which there can be a note: the COMPLETE ones.
    """

    def __init__(self, study: Study) -> None:
        self.trials = complete_trials(study)
        self._names = objective_names(study)
        self._better = ["more" if more else "less" for more in maximized(study)]
        self._directions = study.directions
        self._record = record_of(study)
        every = entries(study)
        self._entries = {n: entry for entry in every for n in entry.trials}
        self._baselines = baselines(study, every)
        self._feasible = in_order_of_completion(feasible_trials(study))
        self._losses = losses([t.values for t in self._feasible], study.directions)

    def of(self, trial: FrozenTrial) -> str:
        """The note on a COMPLETE trial: where it stands, its measurements, its architecture.

        It changes seldom, so that it need not be written again with each trial that finishes.
        """
        named = {name for name in self._names if name in trial.user_attrs}
        parts = [
            self._standing(trial),
            self._measurements(trial),
            *self._settings(trial),
            _wrapped(definitions(named)),
            *self._architecture(trial),
            _table(("parameter", "value"), trial.params.items(), ":--|:--"),
        ]
        return marked("\n\n".join(filter(None, parts)))

    def _standing(self, trial: FrozenTrial) -> str:
        names = escaped(", ".join(self._names))
        (own,) = losses([trial.values], self._directions)
        rows = self._losses
        better = np.flatnonzero((rows <= own).all(axis=1) & (rows < own).any(axis=1))
        if len(better):  # the first one to dominate it, which stays the first
            first = self._feasible[better[0]].number
            return f"Not on the Pareto front of {names} any more: trial {first} dominates it."
        text = f"On the **Pareto front** of {names}."
        if not self._baselines:
            return text
        beaten = [
            f"{entry.baseline} (trial {entry.trial.number})"
            for entry, by in self._baselines
            if trial.number in by
        ]
        said = escaped(", ".join(beaten)) or "none"
        return f"{text} Of {len(self._baselines)} baselines it dominates: {said}."

    def _measurements(self, trial: FrozenTrial) -> str:
        rows = [
            (f"{name} ({better} is better)", number(value))
            for name, better, value in zip(self._names, self._better, trial.values, strict=True)
        ]
        rows += [
            (name, number(trial.user_attrs[name]))
            for name in self._record.get("scores", ())
            if name not in self._names and isinstance(trial.user_attrs.get(name), (int, float))
        ]
        return _table(("measured", "value"), rows, ":--|--:")

    def _settings(self, trial: FrozenTrial) -> Iterable[str]:
        """How the evaluator trained, and how metrics were measured."""
        known = self._record.get("fingerprint", {})
        found = _of("evaluator", known)
        if RECIPE in trial.user_attrs:
            found["recipe"] = trial.user_attrs[RECIPE]
        yield _facts(known.get("evaluator", "evaluator"), found)
        for name in dict.fromkeys((*self._names, *self._record.get("scores", ()))):
            details = trial.user_attrs.get(f"{DETAIL}{name}")
            yield _facts(name, _of(name, known) | (details if isinstance(details, dict) else {}))

    def _architecture(self, trial: FrozenTrial) -> Iterable[str]:
        entry = self._entries[trial.number]
        yield _wrapped(f"architecture: {entry.architecture}")
        others = ", ".join(str(n) for n in entry.trials if n != trial.number)
        yield _wrapped(f"other trials of it: {others}") if others else ""


def _of(name: str, fingerprint: Mapping[str, str]) -> dict[str, Any]:
    prefix = f"{name} "
    return {k.removeprefix(prefix): v for k, v in fingerprint.items() if k.startswith(prefix)}


def _facts(of: str, facts: Mapping[str, Any]) -> str:
    said = ", ".join(f"{k} {_said(v)}" for k, v in facts.items() if v not in ("", None))
    return _wrapped(f"{of}: {said}") if said else ""


def _said(value: object) -> str:
    if isinstance(value, list):
        return " to ".join(map(_said, value))
    return number(value) if isinstance(value, float) else str(value)


def _wrapped(text: str) -> str:
    r"""A text on lines of its own: a `\` at the end of a line breaks it in Markdown."""
    lines = "\n".join(map(escaped, textwrap.wrap(" ".join(text.split()), WIDTH)))
    return _START.sub(r"\1\\", lines).replace("\n", "\\\n")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]], align: str) -> str:
    lines = [" | ".join(map(escaped, row)) for row in rows]
    if not lines:
        return ""
    return "\n".join(f"| {line} |" for line in (" | ".join(header), align, *lines))
