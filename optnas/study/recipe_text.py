"""The text of a recipe, as studies store it and tables show it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ALWAYS = (
    "optimizer",
    "learning_rate",
    "weight_decay",
    "batch_size",
    "seed",
    "epochs",
    "precision",
    "loss",
    "data",
)
"""The settings that stand in every text. The others stand there where they differ from their
defaults: so a study that was made before they existed finds its texts unchanged."""

DEFAULT_BATCH_SIZE = 64
"""Where neither a recipe nor a DataLoader says it."""

_SET = ("epochs", "precision", "data")
"""What an evaluator sets in the recipe of each trial."""


def recipe_repr(recipe: DataclassInstance, unused: Collection[str] = ()) -> str:
    """The text of a recipe, or of a space of recipes: the call that makes it.

    In place of a function there is its name, with a hash of its code.

    Args:
        recipe: The recipe, or the space.
        unused: Settings that have no effect in it, and stay out of its text.
    """
    shown = (
        f"{field.name}={_text(value)!r}"
        for field in fields(recipe)
        if ((value := getattr(recipe, field.name)) != field.default or field.name in ALWAYS)
        and field.name not in unused
    )
    return f"{type(recipe).__qualname__}({', '.join(shown)})"


def _text(value: Any) -> Any:
    if isinstance(value, Mapping):  # labels of functions to choose from
        return {label: _text(choice) for label, choice in value.items()}
    if not callable(value):
        return value
    # Not above: it imports torch, which what only reads a study doesn't need.
    from optnas.utils.code_hash import callable_name, code_hash

    return f"{callable_name(value)} {code_hash(value)}"


def shown_recipe(text: str) -> str:
    """The text of a recipe as people read it: without settings that are left to something else.

    Those are a `batch_size` of None, which is the default or that of the DataLoader, and an empty
    `loss`, which is the evaluator's. The rest is the call that makes the same recipe.

    Args:
        text: What `recipe_repr` returned. Any other text is returned as it is.
    """
    call = _call(text)
    if call is None:
        return text
    call.keywords = [keyword for keyword in call.keywords if not _is_left_out(keyword)]
    return ast.unparse(call)


def left_batch_size(text: str, data: str) -> str:
    """The size of batches where a recipe leaves it to others (see `shown_recipe`), in words.

    Args:
        text: What `recipe_repr` returned.
        data: The fingerprint of the data: of a `Dataset` or of `Loaders`.

    Returns:
        Empty where the recipe says it, or it isn't known.
    """
    call = _call(text)
    if call is None or not any(k.arg == "batch_size" and _is_left_out(k) for k in call.keywords):
        return ""
    if re.search(r" \d+/\d+ batches$", data):
        return "that of the DataLoader"
    return str(DEFAULT_BATCH_SIZE) if re.search(r" \d+/\d+/\d+ [0-9a-f]+$", data) else ""


def shown_settings(fingerprint: Mapping[str, str]) -> dict[str, str]:
    """The settings that a study keeps, as people read them.

    The recipe of its evaluator is without what is set elsewhere, which stands there under its own
    name, and without what is left to something else; the size of batches stands next to it.

    Args:
        fingerprint: The settings, as the study's record has them.
    """
    found = dict(fingerprint)
    call = _call(found.get("evaluator recipe", ""))
    if call is None:
        return found
    size = left_batch_size(found["evaluator recipe"], found.get("evaluator data", ""))
    call.keywords = [
        keyword
        for keyword in call.keywords
        if not _is_left_out(keyword)
        and not (keyword.arg in _SET and f"evaluator {keyword.arg}" in found)
    ]
    found["evaluator recipe"] = ast.unparse(call)
    return found | ({"evaluator batch size": size} if size else {})


def _is_left_out(keyword: ast.keyword) -> bool:
    is_empty = isinstance(keyword.value, ast.Constant) and keyword.value.value in (None, "")
    return is_empty and keyword.arg in ALWAYS


def _call(text: str) -> ast.Call | None:
    if not text.startswith(("Recipe(", "RecipeSpace(")):
        return None
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    return call if isinstance(call, ast.Call) else None


@lru_cache(maxsize=1024)
def further_settings(text: str) -> Mapping[str, str]:
    """The settings in the text of a recipe that differ from their defaults, without `ALWAYS`.

    Args:
        text: What `recipe_repr` returned. Any other text has no settings.
    """
    call = _call(text)
    return {
        keyword.arg: str(value.value)
        if isinstance(value := keyword.value, ast.Constant)
        else ast.unparse(value)
        for keyword in (call.keywords if call else ())
        if keyword.arg is not None and keyword.arg not in ALWAYS
    }
