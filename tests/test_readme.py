"""README is short, and its two commands of set-up are those that .ci/run takes from it."""

import re

from pages import ROOT

README = ROOT / "README.md"


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= 250


def test_there_are_two_commands_of_set_up():
    (setup,) = re.findall(r"^```bash setup\n(.*?)^```$", README.read_text(), re.M | re.S)
    run, test = setup.splitlines()
    assert run.endswith("optnas run studies/digits_cnn.py")
    assert test.endswith("python -m pytest")
