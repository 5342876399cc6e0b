"""Hashes code, so that a change of it is noticed."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
import tokenize
from types import CodeType


def code_hash(thing: object) -> str:
    """Hashes the code of a function or class, without comments and layout.

    Functions that the code calls aren't included.

    Returns:
        12 hexadecimal digits, or an empty string where the code isn't available.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))  # type: ignore[arg-type]
        text = ast.dump(tree)
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):
        # Typed in, built in, a lambda inside a call, or a file that has changed since the import.
        code = getattr(thing, "__code__", None)
        if code is None:
            return ""
        text = _dump(code)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _dump(code: CodeType) -> str:
    constants = [_dump(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code.hex(), code.co_names, constants))
