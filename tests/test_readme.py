"""README's code runs, and its command line is the one there is."""

import re
import sys
from pathlib import Path

import pytest
import typer

from optnas.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
COMMANDS = typer.main.get_command(app)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run(block, capsys, monkeypatch):
    # dataclasses look their module up by name.
    monkeypatch.setitem(sys.modules, "readme", type(sys)("readme"))
    namespace = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec"), namespace)
    if "RNNSpace" in namespace:
        from contracts import SpaceContract

        contract = type("TestRNNSpace", (SpaceContract,), {"space": namespace["space"]})()
        for name in dir(contract):
            if name.startswith("test_"):
                getattr(contract, name)()


def test_there_are_two_commands_of_set_up():
    (setup,) = re.findall(r"^```bash setup\n(.*?)^```$", README, re.M | re.S)
    run, test = setup.splitlines()
    assert run.endswith("optnas run studies/digits_cnn.py")
    assert test.endswith("python -m pytest")


def test_commands_are_those_of_the_help():
    table = dict(re.findall(r"^\| `optnas (\w+) \w+` \| (.*?) \|$", README, re.M))
    helps = {
        name: c.help.split("\n\n")[0].replace("\n", " ") for name, c in COMMANDS.commands.items()
    }
    assert table == helps


def test_options_are_those_of_the_help():
    section = README.split("## The command line")[1].split("\n## ")[0]
    named = set(re.findall(r"`(--[\w-]+)`", section)) - {"--help"}
    commands = [COMMANDS, *COMMANDS.commands.values()]
    there = {option for c in commands for p in c.params for option in p.opts if option[:2] == "--"}
    assert named == there - {"--help"}


def test_files_that_are_named_exist():
    for path in re.findall(r"\b((?:optnas|studies|benchmarks|tests)/[\w/.]*\w)", README):
        assert (Path(__file__).parents[1] / path).exists(), path
