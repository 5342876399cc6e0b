"""Writes docs/cli.md from the commands' own help: python tests/docs/cli_reference.py."""

import sys
from pathlib import Path

import typer

from optnas.cli import app

FILE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = typer.main.get_command(app)
INTRODUCTION = """\
# Commands

<!-- Written by tests/docs/cli_reference.py from the commands' help: change it there. -->

These studies come with optnas and can be given by name: {bundled}.

`optnas COMMAND --help` prints what stands here, and `optnas --version` the version.
`optnas --install-completion` lets bash, zsh or fish complete studies, files, databases,
samplers and devices at the tab key.
"""


def commands():
    """The commands by name, those of groups as `group command`."""
    found = {}
    for name, command in COMMANDS.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {n}": c for n, c in inner.items()} if inner else {name: command}
    return found


def reference():
    """The whole page."""
    bundled = sorted(path.stem for path in (FILE.parents[1] / "studies").glob("*.py"))
    page = [INTRODUCTION.format(bundled=", ".join(f"`{name}`" for name in bundled))]
    page.append(_table("command", "what it does", [_row(n, c) for n, c in commands().items()]))
    page += [_section(name, command) for name, command in commands().items()]
    return "\n".join(page)


def _row(name, command):
    anchor = f"optnas {name}".replace(" ", "-")
    return f"[`optnas {name}`](#{anchor})", summary(command)


def summary(command):
    """The first paragraph of a command's help."""
    return _one_line(command.help.split("\n\n")[0])


def _section(name, command):
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join([f"optnas {name}", *(_argument(p) for p in arguments), "[OPTIONS]"])
    paragraphs = [_one_line(paragraph) for paragraph in command.help.split("\n\n")]
    parts = [f"## optnas {name}\n", "\n\n".join(paragraphs), f"\n```text\n{usage}\n```\n"]
    if arguments:
        rows = [(f"`{_argument(p)}`", _one_line(p.help)) for p in arguments]
        parts.append(_table("argument", "what it is", rows))
    if options:
        rows = [(_option(p), _one_line(p.help) + _default(p)) for p in options]
        parts.append(_table("option", "what it does", rows))
    return "\n".join(parts)


def _argument(param):
    name = param.name.upper()
    return f"{name} …" if param.nargs == -1 else name


def _option(param):
    value = "" if param.is_flag else " …"
    return ", ".join(f"`{option}{value}`" for option in (*param.opts, *param.secondary_opts))


def _default(param):
    """Only numbers and words: None and False mean that it is left out."""
    default = param.default
    return f" Default: {default}." if default and isinstance(default, (int, float, str)) else ""


def _one_line(text):
    return " ".join(text.split()).replace("|", "\\|")


def _table(left, right, rows):
    lines = [f"| {left} | {right} |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(reference())
    sys.stdout.write(f"{FILE}\n")
