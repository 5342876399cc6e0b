"""The command as it is given: words with placeholders, which are filled without a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from optnas.errors import InputError
from optnas.utils.text import there_are

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")
_SHELL = {"|", "||", "&", "&&", ";", "<", "<<", ">", ">>", "2>", "2>>", "&>", "2>&1"}


class Template:
    """Text with placeholders such as `{n_layer}`; `{{` and `}}` are braces.

    A placeholder has the name of a value, whatever that is: `{block1.op}`. A value stays inside of
    its word, and nothing in it has a meaning: no shell sees it.

    Args:
        what: Names the text in messages.
        text: As given.

    Raises:
        InputError: A brace has no partner.
    """

    def __init__(self, what: str, text: str) -> None:
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{what} must be a text that isn't empty, got {text!r}")
        self.text = text
        self._what = what
        self.names = {name for name in _PLACEHOLDER.findall(text) if name}
        lone = _PLACEHOLDER.fullmatch(text)
        self.is_placeholder = lone is not None and lone[1] is not None
        if re.search("[{}]", _PLACEHOLDER.sub("", text)):
            raise InputError(
                f"{what} {text!r} has a brace without a partner, or without a name in it: write "
                "{{ and }} for braces that are no placeholder"
            )

    def filled(self, values: Mapping[str, object]) -> str:
        """The text with the values in place of their names.

        Raises:
            InputError: There is no value of a name.
        """

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name is None:
                return found[0][0]
            if name not in values:
                raise InputError(
                    f"{self._what} has {{{name}}}, of which this trial has no value; "
                    f"{there_are(name, sorted(values))}. `suggest` can give further ones, also for "
                    "parameters that some trials don't draw; {{ and }} are braces"
                )
            return str(values[name])

        return _PLACEHOLDER.sub(value, self.text)


class CommandTemplate:
    """A command with placeholders, cut into words as a shell does before they are filled.

    A word that is one placeholder alone is left out where the value is an empty text: so a flag
    without a value is there or not.

    Raises:
        InputError: A quotation or a brace has no partner, or a word needs a shell.
    """

    def __init__(self, command: str) -> None:
        self.text = Template("the command", command).text
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise InputError(f"the command {command!r} can't be read: {error}") from error
        if not words or not words[0]:
            raise InputError(f"the command {command!r} names no program")
        for word in words:
            if word in _SHELL:
                raise InputError(
                    f"the command has {word!r}, which only a shell understands, and there is none: "
                    'give one program, or a shell as the program (sh -c "…")'
                )
        if re.match(r"[A-Za-z_]\w*=", words[0]):
            raise InputError(
                f"the command begins with {words[0]!r}, which only a shell understands: begin it "
                "with `env`, a program that sets variables"
            )
        self.words = [Template("the command", word) if word else None for word in words]

    def filled(self, values: Mapping[str, object]) -> list[str]:
        """The words with the values in place of their names.

        Raises:
            InputError: There is no value of a name.
        """
        filled = [word.filled(values) if word else "" for word in self.words]
        return [
            text
            for place, (word, text) in enumerate(zip(self.words, filled, strict=True))
            if text or place == 0 or word is None or not word.is_placeholder
        ]
