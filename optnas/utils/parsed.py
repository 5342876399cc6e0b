"""Text as a value of the kind that an argument takes."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

_WORDS = {"true": True, "false": False}
_NONE = "none"
_LISTS = (tuple, list, Sequence, Iterable, set, frozenset)


def parsed(text: str, annotation: Any, current: Any = None) -> Any:
    """Reads a value: `8`, `0.1`, `true`, `none`, `adam`, or several with commas between: `8,16`.

    Args:
        text: The text.
        annotation: The annotation of the argument. `Any`, or None for an argument without one,
            takes whatever the text looks like.
        current: A value of the argument; without an annotation, a sequence takes several values.

    Raises:
        ValueError: The text is no such value; the message says what is.
    """
    text = text.strip()
    origin, inside = get_origin(annotation), get_args(annotation)
    if annotation in (None, Any):
        several = isinstance(current, (tuple, list)) or "," in text
        return tuple(map(_likely, _parts(text))) if several else _likely(text)
    if origin in (Union, types.UnionType):
        return _one_of(text, inside, current)
    if origin is Literal:
        return _literal(text, inside)
    if (origin or annotation) in _LISTS:
        return _several(text, origin or annotation, inside)
    return _single(text, annotation)


def _parts(text: str) -> list[str]:
    inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
    return [part.strip() for part in inner.removesuffix(",").split(",")]


def _likely(text: str) -> Any:
    """What a text looks like: a number, true, false, none, or text."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if text.lower() == _NONE:
        return None
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _one_of(text: str, kinds: Sequence[Any], current: Any) -> Any:
    if type(None) in kinds and text.lower() == _NONE:
        return None
    reasons = []
    # A word is any text, so it comes last.
    for kind in sorted(kinds, key=lambda kind: kind is str):
        if kind is type(None):
            continue
        try:
            return parsed(text, kind, current)
        except ValueError as error:
            reasons.append(str(error))
    none = f", or {_NONE}" if type(None) in kinds else ""
    raise ValueError(" or ".join(dict.fromkeys(reasons)) + none)


def _literal(text: str, allowed: Sequence[Any]) -> Any:
    for value in allowed:
        if str(value) == text:
            return value
    raise ValueError(f"one of {', '.join(map(str, allowed))}")


def _several(text: str, kind: Any, inside: Sequence[Any]) -> Any:
    parts = _parts(text)
    fixed = kind is tuple and inside and inside[-1] is not ...
    if fixed and len(parts) != len(inside):
        raise ValueError(f"{len(inside)} values with commas between")
    kinds = inside if fixed else [inside[0] if inside else Any] * len(parts)
    values = [parsed(part, each) for part, each in zip(parts, kinds, strict=True)]
    return kind(values) if kind in (list, set, frozenset) else tuple(values)


def _single(text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() not in _WORDS:
            raise ValueError("true or false")
        return _WORDS[text.lower()]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            raise ValueError("a whole number" if kind is int else "a number") from error
    if kind is str:
        return text
    if kind is Path:
        return Path(text)
    if kind in (Mapping, dict) or get_origin(kind) in (Mapping, dict):
        raise ValueError("one entry at a time, as NAME.KEY=VALUE")
    raise ValueError("an object, which the study file alone can give")
