"""The sampler that has a relaxed network trained: what it proposes, and its studies."""

import dataclasses
import signal
from collections import Counter

import optuna
import pytest
import torch
import warm
from command_line import exit_code, wait_for_line
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

import optnas
from optnas.cli.run_summary import show_end
from optnas.errors import InputError
from optnas.samplers.gradient import Proposal, Relaxed, relaxed_of, relaxed_text
from optnas.study.attributes import GRADIENT, RELAXED
from optnas.study.record import Overrides
from optnas.testing import HistorySamplerContract


def proposal(params, preference=(1.0,), skips=None, **logits):
    table = {key.replace("_", "#"): tuple(row) for key, row in logits.items()}
    return Proposal(preference, params, table, 0.5, 0.75, skips)


DEEP = proposal(
    {"depth": 3, "layer0.width": 4, "layer1.width": 4, "layer2.width": 4}, depth_3=(0.0, 1.0, 2.0)
)
FLAT = proposal({"depth": 1, "layer0.width": 2}, depth_3=(2.0, 1.0, 0.0))


class Learned:
    """In place of a training."""

    def __init__(self, *proposals, **names):
        self.proposals, self.own, self.trainings = proposals, names, 0

    def names(self, settings, seed):
        return settings.fingerprint | self.own

    def train(self, settings, seed, report, stopped, done, keep):
        self.trainings += 1
        keep(Relaxed(self.names(settings, seed), ("loss",), self.proposals, settings.epochs))


def sampler(*proposals, seed=0, settings=None, **names):
    found = optnas.GradientSampler(seed=seed, **(settings or {}))
    found.train_with(Learned(*proposals, **names))
    return found


class TestGradient(
    HistorySamplerContract,
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    MultiObjectiveSamplerTestCase,
):
    """With what a training learned of two preferences."""

    @pytest.fixture
    def sampler(self):
        return lambda: self.make(0)

    def make(self, seed):
        return sampler(DEEP, FLAT, seed=seed)

    # It was trained beforehand, and learns nothing from trials.
    test_one_objective_gets_better = None
    test_constraints_are_learned = None


def study_of(one, directions=("minimize",)):
    return optuna.create_study(directions=list(directions), sampler=one)


def kinds(trial):
    trial.suggest_categorical("kind", ["a", "b", "c"])
    trial.suggest_float("rate", 0, 1)
    return 0.0


def test_proposals_come_first_each_once_and_say_what_they_cost():
    a, b = proposal({"kind": "a"}), proposal({"kind": "b"}, preference=(0.25,), skips=0.5)
    study = study_of(sampler(a, b, a, proposal({"kind": "b"})))
    study.enqueue_trial({"kind": "c"})
    study.optimize(kinds, n_trials=3)
    assert [t.params["kind"] for t in study.trials] == ["c", "a", "b"]
    assert GRADIENT not in study.trials[0].user_attrs
    assert study.trials[2].user_attrs[GRADIENT] == {
        "preference": (0.25,),
        "relaxed_loss": 0.5,
        "discretised_loss": 0.75,
        "skips": 0.5,
    }
    text = relaxed_text(study)
    assert "discretising adds 0.25 to its loss" in text
    assert "50% of the likeliest operations are skips" in text
    assert "4 preferences, of whose architectures 2 were trained" in text


def test_what_was_tried_or_is_running_is_not_proposed_again():
    a, b, c = (proposal({"kind": kind}) for kind in "abc")
    study = study_of(sampler(a, b, c))
    study.enqueue_trial({"kind": "b"})
    study.optimize(kinds, n_trials=1)
    running = study.ask()
    running.suggest_categorical("kind", ["a", "b", "c"])
    study.optimize(kinds, n_trials=1)
    assert [t.params["kind"] for t in study.trials] == ["b", "a", "c"]


def test_later_trials_are_samples_of_the_softmax():
    odds = (0.0, 1.0, 2.0)
    study = study_of(sampler(proposal({"kind": "c"}, kind_3=odds)))
    study.optimize(kinds, n_trials=401)
    counts = Counter(t.params["kind"] for t in study.trials[1:])
    expected = torch.tensor(odds).softmax(0).tolist()
    for kind, share in zip("abc", expected, strict=True):
        assert counts[kind] / 400 == pytest.approx(share, abs=0.06)


def test_a_proposal_that_breaks_a_known_bound_is_left_for_the_next():
    one = sampler(proposal({"kind": "a"}), proposal({"kind": "b"}))

    class Known:
        values, known = {}, frozenset()

        def __init__(self, params):
            self.constraints = {"size": float(params["kind"] == "a")}

    one.fill_in(kinds, Known)
    study = study_of(one)
    study.optimize(kinds, n_trials=1)
    assert study.trials[0].params["kind"] == "b"


def test_it_is_trained_once_and_other_settings_are_refused():
    first = sampler(DEEP)
    study = study_of(first)
    study.optimize(kinds, n_trials=2)
    study.sampler = again = sampler(FLAT)
    study.optimize(kinds, n_trials=1)
    assert (first._trainer.trainings, again._trainer.trainings) == (1, 0)
    assert relaxed_of(study).proposals == (DEEP,)
    study.sampler = sampler(DEEP, settings={"beta": 2.0})
    with pytest.raises(InputError, match=r"other settings \(beta: 0.0 there, 2.0 here\)"):
        study.optimize(kinds, n_trials=1)
    study.sampler = sampler(DEEP, space="other")
    with pytest.raises(InputError, match="space: nothing there, other here"):
        study.optimize(kinds, n_trials=1)


def test_in_plain_optuna_somebody_must_say_what_to_train():
    study = study_of(optnas.GradientSampler(seed=0))
    with pytest.raises(InputError, match=r"give it to an optnas.Search.*objective\.relaxation"):
        study.optimize(kinds, n_trials=1)


def test_an_attribute_of_others_is_an_error_and_no_text():
    study = study_of(sampler(DEEP))
    assert relaxed_text(study) == ""
    study.set_user_attr(RELAXED, {"proposals": 3})
    assert relaxed_text(study) == ""
    with pytest.raises(InputError, match="can't be read"):
        study.optimize(kinds, n_trials=1)


STUDY = """
import torch
from torch import nn
import optnas

x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
data = optnas.arrays(x.numpy(), x.sum(1, keepdim=True).numpy(), name="sums")


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1, keepdim=True)


def build(trial):
    operations = {"skip": nn.Identity, "tanh": nn.Tanh, "linear": lambda: nn.Linear(4, 4)}
    layers = [optnas.choose(trial, f"layer{i}", operations) for i in (1, 2)]
    return nn.Sequential(*layers, nn.Linear(4, trial.suggest_int("width", 1, 3)), Mean())


search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 4)),
    evaluator=optnas.TrainingEvaluator(data, epochs=1),
    objectives=("val_loss", "params"),
    sampler=optnas.GradientSampler(epochs=2, preferences=3),
    trials=4,
    seed=0,
)
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sums.py"
    path.write_text(STUDY)
    return path


def test_a_search_trains_it_shows_it_and_resumes(file, capsys):
    search = optnas.load_search(file)
    study = search.run()
    err = capsys.readouterr().err
    assert "training the relaxed network: 2 steps" in err
    assert "discretising adds" in err
    assert len(study.trials) == 4
    found = relaxed_of(study)
    proposed = [t for t in study.trials if GRADIENT in t.user_attrs]
    assert 1 <= len(proposed) <= 3
    assert proposed[0].params == found.proposals[0].params
    show_end(study, search)
    assert "gradients:     relaxed network of 2 epochs" in capsys.readouterr().out

    whole = [t.params for t in study.trials]
    optuna.delete_study(study_name=study.study_name, storage=study._storage)
    for trials in (2, 4):
        again = optnas.load_search(file)
        study = again.override(Overrides(trials=trials)).run()
    assert [t.params for t in study.trials] == whole
    assert capsys.readouterr().err.count("training the relaxed network") == 1


def test_the_command_line_refuses_a_space_without_choices(file, capsys):
    plain = "nn.Identity()"
    file.write_text(STUDY.replace('optnas.choose(trial, f"layer{i}", operations)', plain))
    assert exit_code(["run", file, "--sampler", "gradient", "--trials", 1]) == 2
    assert "has nothing that gradients can choose" in " ".join(capsys.readouterr().err.split())
    assert not file.with_suffix(".db").exists()


@pytest.mark.slow
def test_killed_while_it_trains_and_finished_by_two_processes(file, capsys):
    """The one trains on from the checkpoint, the other waits; all is as if nothing had happened."""
    often = "from optnas.evaluators import checkpoint, once\ncheckpoint.STORE_SECONDS = 0.0\n"
    often += "checkpoint.SHARE = 1.0\nonce.EVERY = 0.0\n"
    file.write_text(often + STUDY.replace("epochs=2, preferences", "epochs=40, preferences"))
    run = ("run", file, "--trials", 4)
    first = warm.Command(*run)
    wait_for_line(first.stderr, "the relaxed network: step 3 of 40")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert list(file.parent.glob("sums_shared/relaxed-*/training.pt"))
    both = [warm.Command(*run) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("training the relaxed network: 40 steps from step" in text for text in errors) == 1
    assert not list(file.parent.glob("sums_shared/relaxed-*/training.pt"))
    search = optnas.load_search(file)
    study = search.open()
    assert sum(t.state.name == "COMPLETE" for t in study.trials) == 4
    found = relaxed_of(study)
    search = dataclasses.replace(search, storage="sqlite:///whole.db")
    whole = relaxed_of(search.override(Overrides(trials=1)).run())
    assert found == whole
