"""What a trial is called, in words."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from optnas.study.attributes import ARCHITECTURE, RECIPE, SURPLUS, is_lost, is_stopped


def state_of(trial: FrozenTrial) -> str:
    """The state of a trial; `lost` and `surplus` are no failures of its architecture."""
    if SURPLUS in trial.user_attrs:
        return "surplus"
    if is_stopped(trial):
        return "stopped"
    return "lost" if is_lost(trial) else trial.state.name


def recipe_text(trial: FrozenTrial) -> str:
    """What was searched of the training; or what a person's own evaluator drew."""
    searched = {k: v for k, v in trial.params.items() if k.startswith("recipe.")}
    if searched:
        return " ".join(
            f"{k.removeprefix('recipe.')}={f'{v:.3g}' if isinstance(v, float) else v}"
            for k, v in searched.items()
        )
    recipe = str(trial.user_attrs.get(RECIPE, ""))
    return "" if recipe.startswith("Recipe(") else recipe


def architecture_name(trial: FrozenTrial) -> str:
    """What a trial's network is called: its canonical string, or its parameters."""
    name = trial.user_attrs.get(ARCHITECTURE)
    if name:
        return str(name)
    return " ".join(f"{k}={v}" for k, v in trial.params.items()) or "(no parameters)"
