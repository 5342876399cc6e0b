"""The contracts serve code outside this repository, without its fixtures and settings."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import warm

import optnas
from optnas import testing

CONTRACTS = [getattr(testing, name) for name in testing.__all__]
ROOT = Path(optnas.__file__).parents[1]


def python(*args, folder):
    """Runs Python as a stranger would: in a folder of their own, with optnas on the path."""
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


BROKEN = """
import dataclasses

import torch

import optnas
from optnas.testing import EvaluatorContract, SpaceContract


class Space(optnas.SearchSpace):
    example_inputs = torch.zeros(1, 2)

    def suggest(self, trial):
        trial.suggest_int("unused", 1, 2)
        return trial.suggest_int("width", 1, 2)

    def build(self, width):
        return torch.nn.Linear(2, width)


class TestSpace(SpaceContract):
    space = Space()


class Vague(Space):
    def suggest(self, trial):
        trial.suggest_int("unused", 1, 2)
        return Name(trial.suggest_int("width", 1, 2), trial.suggest_int("steps", 1, 2))

    def build(self, name):
        return Repeated(torch.nn.Linear(2, name.width), name.steps)


@dataclasses.dataclass(frozen=True)
class Name:
    width: int
    steps: int = dataclasses.field(compare=False)

    def __str__(self):
        return str(self.width)


class Repeated(torch.nn.Module):
    def __init__(self, layer, steps):
        super().__init__()
        self.layer, self.steps = layer, steps

    def forward(self, x):
        return sum(self.layer(x) for _ in range(self.steps))


class TestVague(SpaceContract):
    space = Vague()
    isomorphic = True


class TestIncomplete(EvaluatorContract):
    evaluator = None
"""


def test_every_example_passes_and_what_is_wrong_fails_and_is_named(tmp_path):
    """In an empty folder, where warnings are errors.

    Wrong are a parameter without use, a fingerprint with an address, and a contract without a
    space. In a space whose parameters may give equal networks, too: their MACs must be equal.
    """
    examples = set()
    for contract in [testing, *CONTRACTS]:
        (example,) = re.findall(r"```python\n(.*?)```", inspect.getdoc(contract), re.S)
        name = contract.__name__.rpartition(".")[2].lower()
        (tmp_path / f"test_{name}.py").write_text(textwrap.dedent(example))
        examples.add(f"test_{name}.py")
    (tmp_path / "test_broken.py").write_text(BROKEN)
    done = python("-m", "pytest", "-q", "-rA", "-W", "error", folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    outcomes = re.findall(r"^([A-Z]+) (?:\[\d+\] )?(test_\w+\.py)::", done.stdout, re.M)
    assert len(outcomes) == sum(map(int, re.findall(r"(\d+) [a-z]+", done.stdout.splitlines()[-1])))
    assert {file for _, file in outcomes} == examples | {"test_broken.py"}
    assert {outcome for outcome, file in outcomes if file in examples} == {"PASSED"}

    failed = re.findall(r"^FAILED .*::TestSpace::test_(\w+)", done.stdout, re.M)
    assert failed == [
        "equal_strings_are_equal_networks_and_others_are_not",
        "has_no_dead_parameters",
        "fingerprint_is_stable",
    ]
    failed = re.findall(r"^FAILED .*::TestVague::test_(\w+)", done.stdout, re.M)
    assert failed == [
        "equal_strings_are_equal_networks_and_others_are_not",
        "has_no_dead_parameters",
        "fingerprint_is_stable",
    ]
    assert "assert not ['unused', 'steps']" in done.stdout
    assert re.search(r"^E .*count_macs\(", done.stdout, re.M)
    # Values are shown, as in tests that stand in the stranger's own file.
    assert "AssertionError: unused" in done.stdout
    assert "AssertionError: assert '<test_broken" in done.stdout
    assert "TestIncomplete must define space, a search space for the evaluator" in done.stdout


def test_optnas_runs_without_pytest(tmp_path):
    """Only `optnas.testing` needs it, and says so."""
    code = (
        "import sys; assert 'pytest' not in sys.modules; sys.modules['pytest'] = None\n"
        "import optnas, optnas.cli\n"
        "[getattr(optnas, name) for name in optnas.__all__]\n"
        "print('optnas.testing' in sys.modules)\n"
        "import optnas.testing\n"
    )
    done = warm.run(code, log=tmp_path / "log")
    assert done.stdout.read() == "False\n"
    assert done.wait() == 1
    for pipe in (done.stdin, done.stdout):
        pipe.close()
    assert (tmp_path / "log").read_text().splitlines()[-1] == (
        "ImportError: optnas.testing needs pytest, which isn't installed: pip install pytest"
    )


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_has_tests_and_no_file_collects_it_by_its_name(contract):
    assert [name for name in dir(contract) if name.startswith("test_")]
    assert not contract.__name__.startswith("Test")
