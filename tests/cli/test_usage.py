"""Errors name Python's arguments in Python, and options on the command line."""

import ast
import re
from pathlib import Path

import pytest

import optnas
from optnas.cli.usage import as_options

PACKAGE = Path(optnas.__file__).parent
COMMAND_LINES = ("cli", "report/reproduce.py", "study/record.py", "devices/device.py")
"""They write command lines."""


@pytest.mark.parametrize(
    ("python", "option"),
    [
        ("continue with `accept_changes=True`", "continue with --accept-changes"),
        ('try `format="pt2"`, or give `batch_size=1`', "try --format pt2, or give --batch-size 1"),
        ("`reference='a=1'` must be", "--reference a=1 must be"),
        ("give another `storage=` or `name=`", "give another --storage or --name"),
        ("a recipe with batch_size=64 and `width=3`", "a recipe with batch_size=64 and `width=3`"),
    ],
)
def test_an_argument_in_backquotes_is_an_option_on_the_command_line(python, option):
    options = ("--accept-changes", "--format", "--batch-size", "--reference", "--storage", "--name")
    assert as_options(python, options) == option


def test_a_message_names_only_options_of_the_command_in_use(optnas):
    Path("a.db").mkdir()
    for command, named in (("pareto", "a file as --storage"), ("compare", "a file as `storage=`")):
        _, _, err = optnas(command, *(("a.db",) if command == "pareto" else ("a.db", "b.db")))
        assert named in err
    _, _, err = optnas("storage", "copy", "a.db", "b.db")
    assert "a file as `storage=`" in err


def test_no_message_of_the_library_names_an_option():
    for file in PACKAGE.rglob("*.py"):
        if str(file.relative_to(PACKAGE)).startswith(COMMAND_LINES):
            continue
        tree = ast.parse(file.read_text())
        strings = [n for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        for string in strings:
            if isinstance(string.value, str) and id(string) not in docs:
                found = re.search(r"(?<![\w-])--[a-z]", string.value)
                assert not found, f"{file.name}:{string.lineno} {string.value}"
