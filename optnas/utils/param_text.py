"""The text of parameters: other parameters have another text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_PLAIN_NAME = re.compile(r"[^\s='\"][^\s=]*")
_PLAIN_VALUE = re.compile(r"(?!['\"])[^=]*")


def params_text(params: Iterable[tuple[str, object]], quoted: Collection[str] = ()) -> str:
    """Parameters as `width=8 activation=relu`; quoted where that could be read in two ways.

    Args:
        params: Names and values.
        quoted: Names of parameters whose value is quoted, because `has_twin`.
    """
    return " ".join(
        f"{name if _PLAIN_NAME.fullmatch(name) else repr(name)}="
        f"{repr(value) if _is_quoted(value) or name in quoted else value}"
        for name, value in params
    )


def _is_quoted(value: object) -> bool:
    return isinstance(value, str) and not _PLAIN_VALUE.fullmatch(value)


def has_twin(value: object, choices: Iterable[object]) -> bool:
    """Whether a string is the text of another choice: of `(1, "1")`, the second one."""
    return isinstance(value, str) and any(
        not isinstance(choice, str) and str(choice) == value for choice in choices
    )
