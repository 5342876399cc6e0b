"""A sampler's decision takes turns with measurements, and a long one is shown."""

import threading

import optuna
import pytest
import torch

import optnas
from optnas.devices import sharing
from optnas.devices.sharing import exclusive
from optnas.objective import asking
from optnas.runs.progress import Progress
from optnas.utils.terminal import Terminal


class Slow(optuna.samplers.RandomSampler):
    """Looks at previews of networks before each of its decisions."""

    def __init__(self, look):
        super().__init__(seed=0)
        self.look = look

    def sample_independent(self, *args):
        self.look()
        return super().sample_independent(*args)


@pytest.fixture
def run(space, evaluator):
    def run(look, choosing):
        objective = optnas.Objective(space, evaluator, ("loss", "params"), device="cpu")
        objective.choosing = choosing
        sampler = Slow(lambda: look(objective))
        study = optuna.create_study(directions=objective.directions, sampler=sampler)
        study.optimize(objective, n_trials=1)

    return run


def test_a_decision_and_a_measurement_take_turns(run, monkeypatch):
    """A measurement that comes during a decision waits for its next network, and has the device."""
    monkeypatch.setattr(sharing, "PATIENCE", 60.0)
    found, measured = [], threading.Event()

    def measure():
        with exclusive(torch.device("cpu")) as undisturbed:
            found.append(undisturbed)
        measured.set()

    def look(objective):
        if found or measured.is_set():
            return
        with exclusive(torch.device("cpu"), patience=0.0) as undisturbed:
            found.append(undisturbed)  # the decision holds the device
        measurer = threading.Thread(target=measure)
        measurer.start()
        for width in range(10_000):
            if measured.is_set():
                break
            objective._previews._found.clear()
            _ = objective.preview({"width": width % 2 + 1, "deep": False}).values
        measurer.join()

    run(look, lambda number: None)
    assert found == [False, True]


@pytest.mark.parametrize(("seconds", "said"), [(60.0, []), (-1.0, [0])])
def test_a_long_decision_is_shown_once(run, monkeypatch, seconds, said):
    monkeypatch.setattr(asking, "UNSEEN", seconds)
    numbers = []

    def look(objective):
        for width in (1, 2):
            _ = objective.preview({"width": width, "deep": False}).values

    run(look, numbers.append)
    assert numbers == said


def test_it_is_one_short_line(capsys):
    Progress(Terminal(stderr=True)).choosing(12)
    assert capsys.readouterr().err == "trial 12: choosing an architecture\n"
