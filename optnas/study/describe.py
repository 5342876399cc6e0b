"""A trial in words and numbers: its state, its recipe, its network's name, what it has measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from optuna.trial import FrozenTrial

from optnas.study.attributes import (
    ARCHITECTURE,
    RECIPE,
    SURPLUS,
    is_lost,
    is_reserved,
    is_stopped,
)
from optnas.study.recipe_text import further_settings
from optnas.utils.distributions import choices_of
from optnas.utils.param_text import has_twin, params_text
from optnas.utils.text import number

_LONG = re.compile(r"(?<![\w.])\d+\.\d{4,}(?:e[+-]?\d+)?(?![\w.])")
"""Numbers with more digits than anyone reads."""
_SEARCHED = "recipe."
"""The names of the parameters of searched settings begin with this."""


def state_of(trial: FrozenTrial) -> str:
    """The state of a trial: Optuna's, or `stopped`, `lost` or `surplus`.

    The last two are no failures of the architecture.
    """
    if SURPLUS in trial.user_attrs:
        return "surplus"
    if is_stopped(trial):
        return "stopped"
    return "lost" if is_lost(trial) else trial.state.name


def recipe_text(trial: FrozenTrial) -> str:
    """The recipe of the training, in short.

    Of a `Recipe`, these are the searched settings, and the fixed ones that stand in its text
    because they differ from their defaults. What the user's own evaluator drew is shown as it is,
    but for the digits of its numbers.
    """
    recipe = str(trial.user_attrs.get(RECIPE, ""))
    shown = {
        name.removeprefix(_SEARCHED): f"{value:.3g}" if isinstance(value, float) else str(value)
        for name, value in trial.params.items()
        if name.startswith(_SEARCHED)
    }
    shown |= {k: v for k, v in further_settings(recipe).items() if k not in shown}
    if shown or recipe.startswith("Recipe("):
        return " ".join(f"{name}={value}" for name, value in shown.items())
    return _LONG.sub(lambda match: f"{float(match[0]):.3g}", recipe)


def recipe_column(trials: Iterable[FrozenTrial]) -> tuple[list[str], str]:
    """The recipes in a table's rows, and a line below it that says the recipe of all, if it is one.

    What is the same in each row would only make the table wide.
    """
    texts = [recipe_text(trial) for trial in trials]
    if len(texts) > 1 and texts[0] and len(set(texts)) == 1:
        return [""] * len(texts), f"recipe: {texts[0]}"
    return texts, ""


def architecture_name(trial: FrozenTrial) -> str:
    """The name of a trial's network: its canonical string, or its parameters."""
    name = trial.user_attrs.get(ARCHITECTURE)
    if name:
        return str(name)
    quoted = {
        name
        for name, value in trial.params.items()
        if has_twin(value, choices_of(trial.distributions[name]))
    }
    return params_text(trial.params.items(), quoted) or "(no parameters)"


def facts_text(facts: Mapping[str, Any]) -> str:
    """Settings and details of a measurement by name, as one line of text."""
    return ", ".join(_fact(name, value) for name, value in facts.items() if value not in ("", None))


def _fact(name: str, value: object) -> str:
    if told := detail_text(name, value):
        return told
    if isinstance(value, list):
        return f"{name} {', '.join(map(str, value))}"
    return f"{name} {number(value) if isinstance(value, float) else value}"


def detail_text(name: str, value: object) -> str:
    """What a detail of a measurement says, in words; empty if its name and value say it already."""
    match name, value:
        case "interval", [int() | float() as low, int() | float() as high]:
            return f"95 % interval {number(low)} to {number(high)}"
        case "p95", int() | float():
            return f"95 of 100 passes within {number(value)} ms"
        case "passes", int():
            return f"{number(value)} passes"
        case "alone", bool():  # it knows nothing of other programs
            return "no training by optnas at the same time" if value else "during a training"
        case "macs_thop", int():
            return f"thop counts {number(value)}"
        case "no_rule", list():
            return f"thop has no rule for {', '.join(map(str, value))}"
        case "not_counted", list():
            return f"not counted, for want of a formula: {', '.join(map(str, value))}"
        case "differences", list():
            return "; ".join(map(_difference, value))
    return ""


def _difference(found: object) -> str:
    """A kind of modules in which thop is off (`optnas.metrics.thop_check`), in words."""
    match found:
        case {"kind": kind, "macs": int(macs), "macs_thop": int(thop)}:
            return f"thop counts {number(thop)} in {kind}, which has {number(macs)}"
    return str(found)


def number_of(trial: FrozenTrial, name: str) -> float | None:
    """The number that a trial keeps under a name, as an attribute; None without one."""
    value = trial.user_attrs.get(name)
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value


def measurement_of(trial: FrozenTrial, name: str) -> float | None:
    """The number that was measured of a trial under a name; None without one."""
    return None if is_reserved(name) else number_of(trial, name)
