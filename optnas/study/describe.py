"""A trial in words and numbers: its state, its recipe, its network's name, what it has measured."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from optnas.study.attributes import ARCHITECTURE, RECIPE, SURPLUS, is_lost, is_stopped


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
    """The searched settings of the training, or the recipe that the user's own evaluator drew."""
    searched = {k: v for k, v in trial.params.items() if k.startswith("recipe.")}
    if searched:
        return " ".join(
            f"{k.removeprefix('recipe.')}={f'{v:.3g}' if isinstance(v, float) else v}"
            for k, v in searched.items()
        )
    recipe = str(trial.user_attrs.get(RECIPE, ""))
    return "" if recipe.startswith("Recipe(") else recipe


def architecture_name(trial: FrozenTrial) -> str:
    """The name of a trial's network: its canonical string, or its parameters."""
    name = trial.user_attrs.get(ARCHITECTURE)
    if name:
        return str(name)
    return " ".join(f"{k}={v}" for k, v in trial.params.items()) or "(no parameters)"


def number_of(trial: FrozenTrial, name: str) -> float | None:
    """The number that a trial keeps under a name, as an attribute; None without one."""
    value = trial.user_attrs.get(name)
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value
