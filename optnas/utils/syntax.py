"""The code of functions and classes as text, without comments and layout."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

UNREADABLE = (OSError, TypeError, SyntaxError, tokenize.TokenError)
"""What `inspect` and `ast` raise for code that was typed in, is built in, or was edited since."""


def code_text(code: CodeType) -> str:
    """The text of a function's code: its syntax, or its instructions without a source."""
    try:
        if code.co_name == "<lambda>":
            return _dump(_lambda(code))
        return _dump(_parsed(code))
    except UNREADABLE:
        return _instructions(code)


def source_text(cls: type) -> str:
    """The syntax of a class.

    Raises:
        OSError, TypeError, SyntaxError, tokenize.TokenError: There is no source.
    """
    return _dump(_parsed(cls))


def file_text(source: bytes) -> str:
    """The syntax of a whole file.

    Raises:
        SyntaxError, ValueError: It is no Python code.
    """
    return _dump(ast.parse(source))


def has_literal_defaults(code: CodeType) -> bool:
    """Whether the defaults of a function's arguments are written out in its code."""
    try:
        node = _lambda(code) if code.co_name == "<lambda>" else _parsed(code).body[0]
    except UNREADABLE:
        return False
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    return all(map(_is_literal, [*node.args.defaults, *filter(None, node.args.kw_defaults)]))


def computed_attributes(cls: type) -> list[str]:
    """The names that the body of a class assigns something to that isn't written out there."""
    body = _parsed(cls).body[0]
    assert isinstance(body, ast.ClassDef)
    return [
        target.id
        for node in body.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and not _is_literal(node.value)
    ]


def _parsed(thing: type | CodeType) -> ast.Module:
    file = _own_file(thing) if isinstance(thing, type) else None
    source = inspect.getsource(thing) if file is None else _class_source(thing, file)
    return ast.parse(textwrap.dedent(source))


def _own_file(cls: type) -> str | None:
    """The file of a class, if the module that has the name of its own by now is another one.

    `inspect` would look there: two studies may each have a `space.py`.
    """
    now = getattr(sys.modules.get(cls.__module__), "__dict__", {})
    for member in vars(cls).values():
        if isinstance(member, FunctionType) and member.__module__ == cls.__module__:
            if member.__globals__ is now:
                return None
            file = member.__globals__.get("__file__")
            return file if file != now.get("__file__") else None
    return None


def _class_source(cls: Any, file: str) -> str:
    lines = linecache.getlines(file)
    found: list[ast.AST] = [ast.parse("".join(lines))]
    for part in cls.__qualname__.replace(".<locals>", "").split("."):
        found = [d for node in found for d in _definitions(node) if d.name == part]
    if not found or not isinstance(found[0], ast.ClassDef):
        raise OSError("the file doesn't have the class any more")
    node = found[0]
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return "".join(lines[first - 1 : node.end_lineno])


def _definitions(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The classes and functions in a body, but not those in the bodies of others."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child
        else:
            yield from _definitions(child)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _lambda(code: CodeType) -> ast.Lambda:
    """The lambda in its file: the innermost one that has all positions of the code.

    Python knows the first line alone, and the statement around it may hold several lambdas.
    """
    places = [
        ((line, column), (end_line, end_column))
        for line, end_line, column, end_column in code.co_positions()
        if line and end_line and column is not None and end_column  # not those of the prologue
    ]
    found = [
        node
        for node in _lambdas("".join(inspect.findsource(code)[0]))
        if places
        and node.lineno == code.co_firstlineno
        and _start(node.body) <= min(start for start, _ in places)
        and max(end for _, end in places) <= _end(node.body)
    ]
    if not found:
        raise OSError("the file doesn't have the lambda any more")
    return max(found, key=lambda node: _start(node.body))


@lru_cache(maxsize=8)
def _lambdas(text: str) -> tuple[ast.Lambda, ...]:
    return tuple(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda))


def _start(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def _dump(node: object) -> str:
    """What `ast.dump` returns in Python 3.11: each version leaves out other empty fields."""
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    values = {name: getattr(node, name) for name in node._fields if hasattr(node, name)}
    shown = (
        f"{name}={_dump(value)}"
        for name, value in values.items()
        if (value is not None or getattr(type(node), name, ...) is not None)
        and not (name == "type_params" and not value)  # new in Python 3.12
    )
    return f"{type(node).__name__}({', '.join(shown)})"


def _instructions(code: CodeType) -> str:
    constants = [
        _instructions(c)
        if isinstance(c, CodeType)
        else repr(sorted(map(repr, c)))  # a set has another order in each process
        if isinstance(c, frozenset)
        else repr(c)
        for c in code.co_consts
    ]
    return repr((code.co_code.hex(), code.co_names, constants))
