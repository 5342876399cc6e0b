"""Reads parameters from what a language model answered (part of `language_model`).

An answer is text from outside. It is only ever read as JSON, and a value is taken only where the
parameter's distribution has it.
"""

from __future__ import annotations

import json
import math
import re
from json import JSONDecoder
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from optnas.utils.distributions import contains, on_step

LONGEST, MOST_OBJECTS = 100_000, 50
"""The part of an answer (characters) that is read, and the number of braces that are tried."""
MOST_PARAMS, LONGEST_NAME, LONGEST_TEXT = 1000, 200, 1000
"""Limits on what is kept of an answer: parameters, and characters of a name and of a category."""
LARGEST = 2**63
MISSING = object()
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def read_params(text: str) -> dict[str, Any]:
    """The parameters in an answer: those of the last JSON object in it that has any.

    It may stand among other text, in a Markdown fence, or under the key `params`.

    Returns:
        Numbers, texts, booleans and None by name; empty if there are none.
    """
    text, found, at = text[:LONGEST], {}, 0
    decoder = JSONDecoder()
    for _ in range(MOST_OBJECTS):
        at = text.find("{", at)
        if at < 0:
            break
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if params := _flat(value):
            found = params
    return found


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    inner = value.get("params")
    params = inner if isinstance(inner, dict) else value
    kept = {n: v for n, v in params.items() if len(n) <= LONGEST_NAME and _is_plain(v)}
    if len(kept) > MOST_PARAMS:
        return {}
    try:
        json.dumps(kept, ensure_ascii=False).encode()  # half a character can't be stored
    except UnicodeEncodeError:
        return {}
    return kept


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and "\x00" not in value
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (type(value) is int and abs(value) < LARGEST)


def fitting(distribution: BaseDistribution, value: Any) -> Any:
    """The value as the distribution has it, or MISSING.

    JSON has one kind of number, so 3.0 is the whole number 3; true is no number.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(distribution, CategoricalDistribution):
        for choice in distribution.choices:
            same = type(choice) is type(value)
            if choice == value and (same or (is_number and not isinstance(choice, bool))):
                return choice
        return MISSING
    if not is_number or not contains(distribution, value):
        return MISSING
    number = int(value) if isinstance(distribution, IntDistribution) else float(value)
    return on_step(distribution, number)


def read_note(text: str, longest: int) -> str:
    """A note as one line, cut off at a number of characters."""
    return _CONTROL.sub(" ", text[: 2 * longest]).strip()[:longest]
