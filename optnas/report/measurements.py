"""How each number was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial

from optnas.pareto.noise import wider_side
from optnas.report.labels import Meanings
from optnas.study.attributes import ARCHITECTURE, DETAIL, DUPLICATE_OF
from optnas.study.describe import detail_text
from optnas.utils.text import number, plural

LONGEST = 400
"""The largest length of a fact that other code wrote, in characters."""


class Measuring(NamedTuple):
    """How one number was measured.

    Attributes:
        name: Of the metric or score.
        definition: What it is; empty where nothing is known.
        settings: Device and settings, by name.
        remarks: What the measurements themselves show: intervals, disturbances, disagreements.
    """

    name: str
    definition: str
    settings: dict[str, str]
    remarks: list[str]


def measurings(
    names: Sequence[str], trials: Sequence[FrozenTrial], meanings: Meanings
) -> list[Measuring]:
    """For the objectives and everything else that was measured."""
    found = []
    for name in dict.fromkeys((*names, *meanings.scores, *meanings.measured)):
        definition, settings = meanings.long(name), meanings.settings(name)
        remarks = _remarks(name, trials)
        if definition or settings or remarks or name in names:
            found.append(Measuring(name, definition, settings, remarks))
    training = meanings.evaluator()
    if training:
        found.insert(0, Measuring("Training", "", training, []))
    return found


def _remarks(name: str, trials: Sequence[FrozenTrial]) -> list[str]:
    key = f"{DETAIL}{'macs' if name == 'flops' else name}"  # flops are made of macs
    # An architecture is measured once; its other trials have the same value and the same details.
    details = {
        (t.user_attrs.get(ARCHITECTURE, t.number), value): (value, t.user_attrs[key])
        for t in trials
        if isinstance(t.user_attrs.get(key), dict)
        and isinstance(value := t.user_attrs.get(name, 0.0), (int, float))
        and DUPLICATE_OF not in t.user_attrs
    }.values()
    remarks = []
    half = [
        wider_side(value, *d["interval"])
        for value, d in details
        if _is_pair(d.get("interval")) and value > 0
    ]
    if half:
        remarks.append(
            f"95 % interval: ± {median(half):.1%} (median of {plural(len(half), 'network')}), "
            f"± {max(half):.1%} at worst"
        )
    disturbed = sum(d.get("alone") is False for _, d in details)
    if disturbed:
        remarks.append(f"{plural(disturbed, 'network')} timed during a training: take with care")
    thop = [
        d["macs_thop"] / d["macs"] - 1
        for _, d in details
        if _is_count(d.get("macs_thop")) and _is_count(d.get("macs")) and d["macs"]
    ]
    if thop:
        remarks.append(
            "thop, which counts normalisation and pooling too, differs by "
            f"{median(thop):+.1%} (median)"
        )
    differ = sum(bool(d.get("differences")) for _, d in details)
    if differ:
        remarks.append(f"{plural(differ, 'network')} where thop itself is off: see their details")
    unknown = Counter(str(o) for _, d in details for o in _list(d.get("not_counted")))
    remarks += [
        f"not counted, for want of a formula: {operation} ({plural(times, 'network')})"
        for operation, times in unknown.most_common(5)
    ]
    return remarks


def how(name: str, detail: Any) -> str:
    """The details that a trial keeps about a measurement, as readable text.

    Args:
        name: What was measured.
        detail: What is kept of it. The value itself isn't told again.
    """
    if not isinstance(detail, dict):
        return _short(str(detail))
    return _short(" · ".join(_part(key, value) for key, value in detail.items() if key != name))


def _part(key: str, value: Any) -> str:
    shown = number(value) if _is_count(value) else str(value)
    return detail_text(key, value) or f"{key.replace('_', ' ')} {shown}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
