"""Errors in the use of the command line, as sentences like all others."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import typer
from typer.core import TyperCommand

UsageError: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for an unknown option or command, or a value of another type.

Newer versions have click inside of them; this is the class of whichever one there is.
"""
_in_use: ContextVar[tuple[str, ...]] = ContextVar("options of the command in use", default=())


def usage_message(error: Exception) -> str:
    """The message of a `UsageError`, with the name that was meant, and where to read on."""
    context, message = error.ctx, str(error.format_message())  # type: ignore[attr-defined]
    message = re.sub(r"( \(Possible options|\.? (\()?Did you mean).*", "", message).rstrip(".")
    message = message[:1].lower() + message[1:]
    if wrong := getattr(error.__cause__, "errors", None):  # newer versions read values by pydantic
        kind = {"integer": "a whole number", "number": "a number"}
        wanted = next((text for word, text in kind.items() if f"valid {word}" in message), "")
        if wanted:
            option, given = message.partition(": ")[0], wrong()[0]["input"]
            message = f"{option}: give {wanted}, got {given!r}"
    if unknown := re.match(r"no such (?:option: (\S+)|command '(.*)')", message):
        given = unknown[1] or unknown[2]
        command = context.command
        there = [name for option in command.params for name in option.opts + option.secondary_opts]
        if not unknown[1]:
            there = command.list_commands(context)
        by_word = {name.lstrip("-"): name for name in there}
        close = difflib.get_close_matches(given.lstrip("-"), by_word, 1)
        message += f" (did you mean {by_word[close[0]]}?)" if close else ""
    path = context.command_path if context else "optnas"
    return f"{message}; `{path} --help` lists what there is"


class Command(TyperCommand):
    """A command whose options `in_options` knows, from when it begins until another one does."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; typer calls this once it has read the options."""
        _in_use.set(tuple(o for param in self.params for o in param.opts if o.startswith("--")))
        return super().invoke(ctx)


def in_options(message: object) -> str:
    """The message of an error with the options of the command in use (see `as_options`)."""
    return as_options(str(message), _in_use.get())


def as_options(message: str, options: Iterable[str]) -> str:
    """The message of an error with options in place of Python's arguments.

    Python's stand in backquotes: `` `accept_changes=True` `` becomes `--accept-changes`, and
    `` `batch_size=1` `` `--batch-size 1`. What isn't an option stays.

    Args:
        message: The message.
        options: The options that there are.
    """
    by_argument = {option.lstrip("-").replace("-", "_"): option for option in options}

    def option(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        if name not in by_argument:
            return found[0]
        value = value[1:-1] if value[:1] in ("'", '"') else value
        return " ".join([by_argument[name], *([value] if value not in ("", "True") else [])])

    return re.sub(r"`(\w+)=([^`]*)`", option, message)
