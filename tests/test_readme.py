"""README is short, and its two commands of set-up are those that .ci/run takes from it."""

import re

from pages import ROOT

README = ROOT / "README.md"


def test_no_command_names_a_trial_that_a_run_elsewhere_numbers_otherwise():
    for page in (README, *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"--trial \d", page.read_text()), page.name


def test_the_cpu_build_of_pytorch_is_the_version_that_is_tested():
    (tested,) = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    for page in (README, ROOT / "docs" / "get-started.md"):
        assert re.findall(
            r"pip install --no-compile torch==(\S+) --index-url", page.read_text()
        ) == [tested]


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= 250


def test_there_are_two_commands_of_set_up():
    (setup,) = re.findall(r"^```bash setup\n(.*?)^```$", README.read_text(), re.M | re.S)
    run, test = setup.splitlines()
    assert run.endswith("optnas run studies/digits_cnn.py")
    assert test.endswith("python -m pytest")
