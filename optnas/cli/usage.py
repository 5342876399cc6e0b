"""Errors in the use of the command line, as sentences like all others."""

from __future__ import annotations

import difflib
import re

import typer

UsageError: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for an unknown option or command, or a value of another type.

Newer versions have click inside of them; this is the class of whichever one there is.
"""


def usage_message(error: Exception) -> str:
    """The message of a `UsageError`, with the name that was meant, and where to read on."""
    context, message = error.ctx, str(error.format_message())  # type: ignore[attr-defined]
    message = re.sub(r"( \(Possible options|\.? (\()?Did you mean).*", "", message).rstrip(".")
    message = message[:1].lower() + message[1:]
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
