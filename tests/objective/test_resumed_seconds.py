"""The seconds of a training that was resumed are all of it, up to its checkpoint and after that."""

from types import SimpleNamespace

import pytest
import torch

import optnas
from optnas.candidate import Candidate
from optnas.evaluators import evaluation
from optnas.evaluators.checkpoint import FILE, Checkpoint


class Loop:
    device = torch.device("cpu")

    def state(self):
        return {}

    def load_state(self, state):
        pass


class Time:
    """Stands for the module `time`."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def time(monkeypatch):
    found = Time()
    monkeypatch.setattr(evaluation, "time", found)
    return found


def trained(folder, time, before, after, names=None):
    """Trains for some seconds before the checkpoint and after it; the seconds that are told."""
    told = []
    candidate = Candidate("linear", torch.zeros(1, 2), lambda: torch.nn.Linear(2, 1))
    evaluator = SimpleNamespace(device=None)
    with evaluation.reporting(
        evaluator, "cpu", candidate, folder=folder, took=told.append
    ) as report:
        checkpoint = Checkpoint(report, Loop(), names or {"a": "b"})
        checkpoint.load()
        time.now += before
        checkpoint.save(now=True)
        time.now += after
    return told[0]


def test_a_resumed_training_has_the_seconds_up_to_its_checkpoint(tmp_path, time):
    assert trained(tmp_path, time, 100, 7) == 107
    assert trained(tmp_path, time, 20, 3) == 123  # the 7 seconds were lost
    assert trained(tmp_path, time, 0, 1) == 121


def test_a_checkpoint_of_another_training_or_of_an_earlier_version_has_none(tmp_path, time, caplog):
    trained(tmp_path, time, 100, 0)
    assert trained(tmp_path, time, 5, 0, {"a": "c"}) == 5
    assert "can't be used" in caplog.text
    state = torch.load(tmp_path / FILE)
    torch.save({key: value for key, value in state.items() if key != "seconds"}, tmp_path / FILE)
    assert trained(tmp_path, time, 5, 0, {"a": "c"}) == 5


def test_a_report_of_its_own_tells_no_time():
    assert optnas.Report().seconds == 0.0
