"""README's code runs, and its command line is the one there is."""

import inspect
import re
import sys
from pathlib import Path

import pytest
import typer

from optnas.cli import app
from optnas.samplers import SAMPLERS
from optnas.testing import HistorySamplerContract, MetricContract, SpaceContract

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
COMMANDS = typer.main.get_command(app)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run(block, capsys, monkeypatch):
    # dataclasses and pickle look their module up by name.
    module = type(sys)("readme")
    monkeypatch.setitem(sys.modules, "readme", module)
    namespace = module.__dict__
    exec(compile(block, "README.md", "exec"), namespace)
    if "RNNSpace" in namespace:
        check(SpaceContract, {"space": namespace["space"]})
    if "QuantizedSize" in namespace:
        check(MetricContract, {"metric": namespace["QuantizedSize"]()})
    if "KeepMostSampler" in namespace:
        make = namespace["KeepMostSampler"]
        check(HistorySamplerContract, {"make": lambda self, seed: make(seed)})


def check(contract, attributes):
    """Runs the tests of a contract that take no arguments."""
    case = type("Case", (contract,), attributes)()
    for name in dir(contract):
        test = getattr(case, name)
        if name.startswith("test_") and not inspect.signature(test).parameters:
            test()


def test_help_names_all_samplers():
    (sampler,) = [p for p in COMMANDS.commands["run"].params if p.name == "sampler"]
    assert sampler.help.split(": ")[1].rstrip(".").split(", ") == list(SAMPLERS)
    for name in SAMPLERS:
        assert f"`{name}`" in README, name


def test_there_are_two_commands_of_set_up():
    (setup,) = re.findall(r"^```bash setup\n(.*?)^```$", README, re.M | re.S)
    run, test = setup.splitlines()
    assert run.endswith("optnas run studies/digits_cnn.py")
    assert test.endswith("python -m pytest")


def commands():
    """The commands by name, those of groups as `group command`."""
    found = {}
    for name, command in COMMANDS.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {n}": c for n, c in inner.items()} if inner else {name: command}
    return found


def test_commands_are_those_of_the_help():
    table = dict(re.findall(r"^\| `optnas ([a-z ]+?)(?: [A-Z]+)+` \| (.*?) \|$", README, re.M))
    helps = {name: c.help.split("\n\n")[0].replace("\n", " ") for name, c in commands().items()}
    assert table == helps


def test_options_are_those_of_the_help():
    section = README.split("## The command line")[1].split("\n## Many workers")[0]
    named = set(re.findall(r"`(--[\w-]+)`", section)) - {"--help"}
    every = [COMMANDS, *commands().values()]
    there = {
        option
        for c in every
        for p in c.params
        for option in (*p.opts, *p.secondary_opts)
        if option[:2] == "--"
    }
    assert named == there - {"--help"}


def test_files_that_are_named_exist():
    for path in re.findall(r"\b((?:optnas|studies|benchmarks|tests)/[\w/.]*\w)", README):
        if path.endswith(".db"):  # a run makes it
            continue
        assert (Path(__file__).parents[1] / path).exists(), path
