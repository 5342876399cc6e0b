"""Settings of space, evaluator and recipe by name: `space.depth=1,4`, `recipe.learning_rate=0.01`.

A name is a path through the arguments that the study file has given to constructors. The object is
made again with the new argument, so a setting is checked, and enters the fingerprint, as if the
file had it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optnas.errors import InputError
from optnas.evaluators import Evaluator, Recipe, RecipeSpace
from optnas.search_spaces import SearchSpace
from optnas.utils.parsed import parsed
from optnas.utils.remakable import annotations_of, arguments_of, is_remakable, remade
from optnas.utils.text import there_are

PARTS = ("space", "evaluator", "recipe")
"""How the names begin; `recipe` is that of the evaluator that trains."""


def with_settings(
    space: SearchSpace[Any], evaluator: Evaluator, settings: Mapping[str, str]
) -> tuple[SearchSpace[Any], Evaluator]:
    """Space and evaluator with some settings changed.

    Args:
        space: The search space.
        evaluator: The evaluator.
        settings: Values as text by name: `{"space.depth": "1,4", "evaluator.epochs": "5"}`.

    Raises:
        InputError: There is no such setting, or the value can't be used.
    """
    parts: dict[str, Any] = {"space": space, "evaluator": evaluator}
    for name, text in settings.items():
        part, *path = name.split(".")
        if part not in PARTS or not path or not all(path):
            raise InputError(
                f"{name}={text}: a setting is named PART.NAME, such as space.depth, and the part "
                f"is one of {', '.join(PARTS)}"
            )
        if part == "recipe":
            part, path = "evaluator", [*_to_recipe(parts["evaluator"]), *path]
        parts[part] = _changed(parts[part], path, f"{name}={text}", text)
    return parts["space"], parts["evaluator"]


def _to_recipe(evaluator: Evaluator) -> list[str]:
    """The path from an evaluator to the recipe of its trainings."""
    return ["training", "recipe"] if "training" in arguments_of(evaluator) else ["recipe"]


def _changed(owner: Any, path: list[str], given: str, text: str) -> Any:
    """An object, or a mapping, with one setting changed."""
    name, *rest = path
    of_mapping = isinstance(owner, Mapping)
    known = dict(owner) if of_mapping else _arguments(owner, given)
    if name not in known:
        what = "its dictionary" if of_mapping else type(owner).__name__
        raise InputError(f"{given}: {what} has no setting {name!r}; {there_are(name, known)}")
    current = known[name]
    if current is None and not of_mapping:
        current = getattr(owner, name, None)  # what stands for None
    if rest:
        value = _changed(current, rest, given, text)
    else:
        annotation = Any if of_mapping else annotations_of(owner).get(name)
        try:
            value = parsed(text, annotation, current)
        except ValueError as error:
            inside = isinstance(current, (Evaluator, Recipe, RecipeSpace))
            way = f": name one of its settings, as {_joined(name, current)}" if inside else ""
            raise InputError(f"{given}: {name} is {error}{way}") from error
    if of_mapping:
        return known | {name: value}
    try:
        return remade(owner, {name: value})
    except (ValueError, TypeError) as error:  # InputError is a ValueError
        raise InputError(f"{given}: {error}") from error


def _arguments(owner: Any, given: str) -> dict[str, Any]:
    if not is_remakable(owner):
        raise InputError(
            f"{given}: {owner!r} has no settings that can be named; change it in the study file"
        )
    return arguments_of(owner)


def _joined(name: str, owner: Any) -> str:
    return f"{name}.{next(iter(arguments_of(owner)))}"
