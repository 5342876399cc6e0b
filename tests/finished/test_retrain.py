"""Final trainings: what a study keeps of them, and that no seed is trained twice."""

import copy
import json
import re
import signal
from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
import optnas.finished.retrain
from optnas.candidate import Candidate
from optnas.errors import CandidateError, InputError
from optnas.evaluators import FunctionEvaluator, Recipe, Report, TrainingEvaluator, checkpoint
from optnas.evaluators.abilities import retraining_of
from optnas.evaluators.retraining import names_on_test
from optnas.evaluators.training_loop import TrainingLoop
from optnas.search_spaces import FunctionSpace, MLPSpace
from optnas.study.retrainings import others_tested, retrained
from optnas.study.seeds import derived_seed
from optnas.testing import EvaluatorContract
from optnas.utils.mean_sd import Spread

X = np.random.default_rng(0).normal(size=(90, 4))
DATA = optnas.arrays(X + (np.arange(90) % 3)[:, None], np.arange(90) % 3, name="blobs")


def build(trial):
    width = trial.suggest_int("width", 4, 12)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 3))


def by_hand():
    return nn.Sequential(nn.Linear(4, 3))


def search_of(evaluator=None, trials=3, **kwargs):
    settings = {
        "space": FunctionSpace(build, torch.zeros(1, 4)),
        "evaluator": evaluator or TrainingEvaluator(DATA, 2, device="cpu"),
        "objectives": ("val_loss", "params"),
        "baselines": {"linear": by_hand},
        "sampler": "random",
        "trials": trials,
        "seed": 1,
        "name": "blobs",
    }
    return optnas.Search(**(settings | kwargs))


def run_of(search):
    return search.run(progress=False)


def weights(study, search, run):
    return load_file(search.files(study).path("_retrained") / run.weights)


def retrain(study, search, trial, **kwargs):
    return optnas.retrain(study, search, trial, progress=False, **kwargs)


class TestRetrainingEvaluator(EvaluatorContract):
    evaluator = TrainingEvaluator(DATA, 3, device="cpu", epoch="best").retraining()
    space = MLPSpace((4,), 3, width=(8, 16), width_step=8)


def test_it_equals_a_loop_written_out_by_hand():
    recipe = Recipe("sgd", learning_rate=0.05, weight_decay=0.0, batch_size=16)
    evaluator = TrainingEvaluator(DATA, 2, recipe, device="cpu").retraining(4)

    def network():
        torch.manual_seed(5)
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    report = Report()
    candidate = Candidate("", torch.zeros(1, 4), network, 7)
    candidate.model.load_state_dict(network().state_dict())
    scores = evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), report)

    model = network()
    step = torch.optim.SGD(model.parameters(), 0.05, 0.9, nesterov=True)
    x, y = (torch.cat(both) for both in zip(DATA.train, DATA.val, strict=True))
    batches = len(x) // 16 + (len(x) % 16 > 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(step, 4 * batches)
    torch.manual_seed(7)
    losses = []
    for _ in range(4):
        order = torch.randperm(len(x))
        for batch in order.split(16)[:batches]:
            step.zero_grad()
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            step.step()
            schedule.step()
            losses.append(float(loss.detach()))
    outputs = model.eval()(DATA.test[0]).detach()
    expected = float(nn.functional.cross_entropy(outputs, DATA.test[1]))
    right = float((outputs.argmax(1) == DATA.test[1]).float().mean())
    assert scores == pytest.approx({"test_loss": expected, "test_accuracy": right}, rel=1e-4)
    means = np.reshape(losses, (4, -1)).mean(1)
    assert [entry["train_loss"] for entry in report.curve] == pytest.approx(list(means), rel=1e-4)


def test_the_test_part_is_scored_once_for_each_seed(monkeypatch):
    search = search_of(trials=2)
    study = run_of(search)
    scored_after = []
    score = TrainingLoop.score

    def counted(loop, *args, **kwargs):
        scored_after.append(loop.epoch)
        return score(loop, *args, **kwargs)

    monkeypatch.setattr(TrainingLoop, "score", counted)
    retrain(study, search, 1, epochs=3, seeds=2)
    assert scored_after == [3, 3]


def test_scores_of_a_bfloat16_training_are_those_of_the_float32_network():
    search = search_of(TrainingEvaluator(DATA, 2, precision="bfloat16", device="cpu"))
    study = run_of(search)
    run = retrain(study, search, 1, seeds=1).runs[0]
    model = build(study.trials[1])
    model.load_state_dict(weights(study, search, run))
    outputs = model.eval()(DATA.test[0])
    loss = nn.functional.cross_entropy(outputs, DATA.test[1]).item()
    assert run.scores["test_loss"] == pytest.approx(loss, rel=1e-6)


def test_further_scores_get_test_names():
    assert names_on_test(["val_loss", "f1"]) == {"val_loss": "test_loss", "f1": "test_f1"}
    both = names_on_test(["val_f1", "f1"])
    assert both == {"val_f1": "test_val_f1", "f1": "test_f1"}
    scores = {"error": (lambda o, t: (o.argmax(1) != t).float().mean(), "minimize")}
    search = search_of(TrainingEvaluator(DATA, 1, scores=scores, device="cpu"), trials=2)
    run = retrain(run_of(search), search, 1, seeds=1).runs[0]
    assert set(run.scores) == {"test_loss", "test_accuracy", "test_error"}
    assert run.scores["test_error"] == pytest.approx(1 - run.scores["test_accuracy"])


def test_weights_scores_and_facts_are_kept():
    search = search_of()
    study = run_of(search)
    result = retrain(study, search, 2, epochs=3, seeds=2)
    assert retrained(study) == [result]
    assert (result.trial, result.epochs) == (2, "3 epochs")
    for k, run in enumerate(result.runs):
        assert run.number == k
        assert run.seed == derived_seed(1, 2, f"retrain {k}")
        assert run.architecture == study.trials[2].user_attrs["architecture"]
        assert "epochs=3" in run.recipe
        assert run.device.startswith("cpu (")
        assert {"optnas", "torch", "python"} == set(run.versions)
        assert weights(study, search, run)["0.weight"].shape == (study.trials[2].params["width"], 4)
    assert not torch.equal(*(weights(study, search, run)["0.weight"] for run in result.runs))
    losses = [run.scores["test_loss"] for run in result.runs]
    spread = result.spreads()["test_loss"]
    assert spread == pytest.approx((np.mean(losses), np.std(losses, ddof=1), 2))
    folder = (search.files(study).path("_retrained") / result.runs[0].weights).parent
    written = json.loads((folder / "results.json").read_text())
    assert written["scores"]["test_loss"]["mean"] == pytest.approx(np.mean(losses))
    assert [run["scores"] for run in written["runs"]] == [run.scores for run in result.runs]
    assert {p.name for p in folder.iterdir()} == {
        "results.json",
        "seed0.safetensors",
        "seed1.safetensors",
    }
    # Everything in the study can be read without optnas.
    assert json.loads(json.dumps(study.user_attrs))["retrained:2"][0]["scores"]["test_loss"]


def count_epochs(monkeypatch):
    """A list that gets the number of each epoch that is trained."""
    epochs = []
    train = TrainingLoop.train_epoch
    monkeypatch.setattr(
        TrainingLoop, "train_epoch", lambda loop: (epochs.append(loop.epoch), train(loop))[1]
    )
    return epochs


def test_a_repeat_trains_only_what_is_missing(monkeypatch):
    search = search_of()
    study = run_of(search)
    first = retrain(study, search, 1, seeds=2)
    epochs = count_epochs(monkeypatch)
    assert retrain(study, search, 1, seeds=2) == first
    assert retrain(study, search, 1, seeds=1) == first
    assert epochs == []
    three = retrain(study, search, 1, seeds=3)
    assert epochs == [0, 1]
    assert three.runs[:2] == first.runs

    longer = retrain(study, search, 1, epochs=3, seeds=1)
    assert epochs == [0, 1, 0, 1, 2]
    assert retrained(study) == [three, longer]
    assert all(weights(study, search, run) for r in (three, longer) for run in r.runs)
    assert retrain(study, search, 1, seeds=3) == three
    assert len(epochs) == 5

    before = weights(study, search, three.runs[1])
    (search.files(study).path("_retrained") / three.runs[1].weights).unlink()
    again = retrain(study, search, 1, seeds=2)
    assert len(epochs) == 7
    assert again.runs[1].scores == three.runs[1].scores
    assert [r.trial for r in retrained(study)] == [1, 1]
    after = weights(study, search, again.runs[1])
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_other_data_is_another_retraining():
    search = search_of()
    study = run_of(search)
    first = retrain(study, search, 1, seeds=1)
    other = copy.copy(DATA)
    object.__setattr__(other, "test", (DATA.test[0] + 1, DATA.test[1]))
    other.__dict__.pop("retraining_fingerprint", None)
    changed = search_of(TrainingEvaluator(other, 2, device="cpu"))
    second = retrain(study, changed, 1, seeds=1)  # the search never saw the test part
    assert second.settings != first.settings
    assert second.runs[0].scores != first.runs[0].scores


def test_an_interrupted_retraining_resumes_and_ends_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint, "STORE_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    search = search_of(storage=f"sqlite:///{tmp_path}/whole.db")
    study = run_of(search)
    whole = retrain(study, search, 1, epochs=5, seeds=2)
    expected = [weights(study, search, run) for run in whole.runs]

    (tmp_path / "cut").mkdir()
    cut = replace(search, storage=f"sqlite:///{tmp_path}/cut/cut.db")
    study = run_of(cut)
    epochs = []
    train = TrainingLoop.train_epoch

    def interrupted(loop):
        epochs.append(loop.epoch)
        if len(epochs) == 8:  # of the second seed, the third
            raise KeyboardInterrupt
        return train(loop)

    monkeypatch.setattr(TrainingLoop, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        retrain(study, cut, 1, epochs=5, seeds=2)
    assert [run.number for run in retrained(study)[0].runs] == [0]
    result = retrain(study, cut, 1, epochs=5, seeds=2)
    assert epochs == [0, 1, 2, 3, 4, 0, 1, 2, 2, 3, 4]
    assert [run.scores for run in result.runs] == [run.scores for run in whole.runs]
    for run, wanted in zip(result.runs, expected, strict=True):
        found = weights(study, cut, run)
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    folder = (cut.files(study).path("_retrained") / result.runs[0].weights).parent
    assert not [p for p in folder.iterdir() if p.is_dir()]


def test_a_seed_that_diverges_is_reported_and_not_trained_again(monkeypatch):
    search = search_of()
    study = run_of(search)
    epochs = count_epochs(monkeypatch)
    score = TrainingLoop.score

    def diverges(loop, *args, **kwargs):
        if len(epochs) == 2:
            raise CandidateError("diverged: test_loss is nan")
        return score(loop, *args, **kwargs)

    monkeypatch.setattr(TrainingLoop, "score", diverges)
    result = retrain(study, search, 1, seeds=3)
    assert [bool(run.scores) for run in result.runs] == [False, True, True]
    assert result.runs[0].failure == "diverged: test_loss is nan"
    assert result.spreads()["test_loss"].n == 2
    assert retrain(study, search, 1, seeds=3) == result
    assert len(epochs) == 6


def test_running_out_of_memory_is_not_kept_as_a_failure_of_the_seed(monkeypatch):
    search = search_of()
    study = run_of(search)

    def full(loop):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "train_epoch", full)
        with pytest.raises(InputError, match=r"seed 0: out of memory: .* finished seeds are kept"):
            retrain(study, search, 1, seeds=1)
    assert retrained(study) == []
    assert retrain(study, search, 1, seeds=1).runs[0].scores


def test_scores_are_kept_where_weights_cannot_be_written(monkeypatch):
    search = search_of()
    study = run_of(search)

    def full(*args):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(optnas.finished.retrain, "save_weights", full)
        with pytest.raises(InputError, match=r"scores of seed 0 are kept, but .*\(No space left"):
            retrain(study, search, 1, seeds=1)
    (kept,) = retrained(study)
    assert kept.runs[0].scores
    assert kept.runs[0].weights == ""
    again = retrain(study, search, 1, seeds=1)  # for its weights
    assert again.runs[0].scores == kept.runs[0].scores
    assert weights(study, search, again.runs[0])


def test_a_folder_that_cannot_be_written_is_reported_before_training(tmp_path, monkeypatch):
    search = search_of()
    study = run_of(search)
    epochs = count_epochs(monkeypatch)
    (tmp_path / "blobs_retrained").touch()
    with pytest.raises(InputError, match=r"can't write to .*blobs_retrained"):
        retrain(study, search, 1, seeds=1)
    assert epochs == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_a_retraining_is_repeatable_and_can_be_exported():
    space = optnas.MacroCNNSpace((1, 8, 8), 10)
    evaluator = TrainingEvaluator(optnas.digits(), 2, device="cuda")
    search = search_of(evaluator, space=space, baselines={}, trials=1)
    study = run_of(search)
    first = retrain(study, search, 0, seeds=2)
    before = [weights(study, search, run) for run in first.runs]
    for run in first.runs:
        (search.files(study).path("_retrained") / run.weights).unlink()
    again = retrain(study, search, 0, seeds=2)
    assert [run.scores for run in again.runs] == [run.scores for run in first.runs]
    assert again.runs[0].device.startswith("cuda")
    for run, found in zip(again.runs, before, strict=True):
        assert all(torch.equal(weights(study, search, run)[name], found[name]) for name in found)
    assert optnas.export_model(study, search, 0, "m.onnx").agreement.difference < 1e-5


def test_a_baseline_is_retrained():
    search = search_of()
    study = run_of(search)
    assert study.trials[0].user_attrs["baseline"] == "linear"
    run = retrain(study, search, 0, seeds=1).runs[0]
    assert run.architecture == "baseline linear"
    assert weights(study, search, run)["0.weight"].shape == (3, 4)


def loaders(**parts):
    def loader(part, shuffle=False):
        return DataLoader(TensorDataset(*part), batch_size=16, shuffle=shuffle)

    return optnas.Loaders(
        loader(DATA.train, True),
        loader(DATA.val),
        "classification",
        "blobs in loaders",
        **{name: loader(part) for name, part in parts.items()},
    )


def test_loaders_need_parts_for_retraining():
    both = tuple(torch.cat(parts) for parts in zip(DATA.train, DATA.val, strict=True))
    plain = search_of(TrainingEvaluator(loaders(), 1, device="cpu"))
    study = run_of(plain)
    with pytest.raises(InputError, match=r"give them Loaders\(…, train_val=…, test=…\)"):
        retrain(study, plain, 1)
    # They may be added to the study file later: the search never uses them.
    full = TrainingEvaluator(loaders(train_val=both, test=DATA.test), 1, device="cpu")
    search = search_of(full)
    run = retrain(study, search, 1, seeds=1).runs[0]
    model = build(study.trials[1])
    model.load_state_dict(weights(study, search, run))
    right = (model.eval()(DATA.test[0]).argmax(1) == DATA.test[1]).float().mean()
    assert run.scores["test_accuracy"] == pytest.approx(float(right))
    assert "blobs in loaders 5/2 batches" in run.recipe


def test_evaluators_that_cannot_retrain():
    own = FunctionEvaluator(lambda m, r, report: {"loss": 1.0}, {"loss": "minimize"})
    search = search_of(own, objectives=("loss",), baselines={})
    with pytest.raises(InputError, match=r"a FunctionEvaluator has no retraining: .* own code"):
        retrain(run_of(search), search, 0)
    table = optnas.TabularEvaluator({"a": {"loss": 1.0}}, {"loss": "minimize"})
    with pytest.raises(InputError, match=r"nothing is trained in this study"):
        retraining_of(table)
    empty = optnas.Dataset(
        "d", "regression", DATA.train, DATA.val, (torch.zeros(0, 4), torch.zeros(0, 1)), 1
    )
    with pytest.raises(InputError, match=r"no examples in its test part"):
        TrainingEvaluator(empty).retraining()
    with pytest.raises(InputError, match=r"epochs must be at least 1"):
        TrainingEvaluator(DATA).retraining(0)


def test_trials_that_cannot_be_retrained():
    search = search_of()
    study = run_of(search)
    with pytest.raises(InputError, match=r"there is no trial 99"):
        retrain(study, search, 99)
    with pytest.raises(InputError, match=r"seeds must be at least 1"):
        retrain(study, search, 1, seeds=0)
    states = optuna.trial.TrialState
    study.add_trial(optuna.create_trial(state=states.PRUNED, user_attrs={"pruned": "params is 9"}))
    study.add_trial(optuna.create_trial(state=states.FAIL))
    study.ask()
    for number, message in (
        (3, r"trial 3 is PRUNED \(params is 9\): give one that is COMPLETE"),
        (4, r"trial 4 is FAIL: give one"),
        (5, r"trial 5 is RUNNING"),
    ):
        with pytest.raises(InputError, match=message):
            retrain(study, search, number)
    study.add_trial(optuna.create_trial(values=[1.0, 2.0]))
    with pytest.raises(InputError, match=r"trial 6 \(COMPLETE\) has no architecture"):
        retrain(study, search, 6)


def wider(trial):
    return nn.Sequential(build(trial), nn.Linear(3, 3))


def asks_more(trial):
    trial.suggest_int("more", 1, 2)
    return build(trial)


def same_size(trial):
    width = trial.suggest_int("width", 4, 12)
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Dropout(0.2), nn.Linear(width, 3))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"space": FunctionSpace(wider, torch.zeros(1, 4))}, r"code of the space: \w+ there"),
        ({"space": FunctionSpace(same_size, torch.zeros(1, 4))}, r"code of the space"),
        ({"evaluator": TrainingEvaluator(DATA, 3, device="cpu")}, r"evaluator epochs: 2 there, 3"),
        (
            {"evaluator": TrainingEvaluator(DATA, 2, Recipe("sgd"), device="cpu")},
            r"evaluator recipe",
        ),
    ],
)
def test_edited_code_is_refused(changed, message):
    study = run_of(search_of())
    with pytest.raises(InputError, match=message):
        retrain(study, search_of(**changed), 1)
    if "evaluator" in changed:
        assert retrain(study, search_of(**changed), 1, seeds=1, accept_changes=True).runs


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (wider, r"trial 1 has \w+ .*, but today's code makes"),
        (asks_more, r"makes no network of the parameters of trial 1 .*'more' is not found"),
    ],
)
def test_another_network_is_refused_even_if_changes_are_accepted(space, message):
    study = run_of(search_of())
    edited = search_of(space=FunctionSpace(space, torch.zeros(1, 4)))
    with pytest.raises(InputError, match=message):
        retrain(study, edited, 1, accept_changes=True)


def test_a_study_without_a_record_is_checked_through_its_trials():
    """`study.optimize` keeps no record."""
    search = search_of(baselines={})
    study = optuna.create_study(directions=["minimize"] * 2)
    study.optimize(search.objective(), n_trials=2)
    assert retrain(study, search, 1, seeds=1).runs[0].scores
    longer = search_of(TrainingEvaluator(DATA, 3, device="cpu"), baselines={})
    with pytest.raises(InputError, match=r"was trained with Recipe\(.*epochs=2.*epochs=3"):
        retrain(study, longer, 1)


def test_other_networks_scored_on_the_test_part_are_named():
    search = search_of()
    study = run_of(search)
    one = retrain(study, search, 1, seeds=1)
    assert others_tested(study, 1, one.settings) == ""
    two = retrain(study, search, 2, seeds=1, epochs=1)
    longer = retrain(study, search, 2, seeds=1)
    warning = others_tested(study, 2, longer.settings)
    assert "trial 1 (2 epochs), trial 2 (1 epoch);" in warning
    assert two.settings != longer.settings


@pytest.mark.parametrize(
    "value",
    [
        "text",
        {"a": 1},
        [1, None, "x"],
        [{"settings": "x"}],
        [{"settings": 1, "number": -1}],
    ],
)
def test_notes_in_another_form_are_ignored(value):
    search = search_of()
    study = run_of(search)
    result = retrain(study, search, 1, seeds=1)
    study.set_user_attr("retrained:2", value)
    study.set_user_attr("retrained:77", study.user_attrs["retrained:1"])
    study.set_user_attr("retrained:", value)
    assert retrained(study) == [result]
    note = study.user_attrs["retrained:1"][0]
    for key, bad in (
        ("scores", {"a": "b"}),
        ("scores", {"a": float("nan")}),
        ("scores", {}),
        ("weights", "../../elsewhere"),
        ("weights", "/etc/passwd"),
        ("number", True),
        ("evaluator", None),
    ):
        study.set_user_attr("retrained:2", [note | {key: bad}])
        assert retrained(study) == [result], (key, bad)


def test_a_spread_as_text():
    assert str(Spread.of([0.1234567])) == "0.1235"
    assert str(Spread.of([0.07, 0.0731, 0.0762])) == "0.0731 ± 0.0031"
    assert str(Spread.of([1.0, 1.0])) == "1"
    assert str(Spread.of([1e6, 1.2e6])) == "1,100,000 ± 140,000"
    assert str(Spread.of([0.1] * 3)) == "0.1"
    assert Spread.of([0.1] * 3).deviation == 0


FILE = """
import os, signal
import numpy as np, torch
from torch import nn
import optnas

class Interrupts(nn.Module):
    def forward(self, x):
        if self.training and os.path.exists("interrupt"):
            os.unlink("interrupt")
            signal.raise_signal(getattr(signal, os.environ["SIGNAL"]))
        return x

def build(trial):
    width = trial.suggest_int("width", 4, 12)
    return nn.Sequential(nn.Linear(4, width), Interrupts(), nn.Linear(width, 3))

x = np.random.default_rng(0).normal(size=(90, 4))
search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 4)),
    evaluator=optnas.TrainingEvaluator(
        optnas.arrays(x, np.arange(90) % 3, name="[red]b[/red]"), epochs=2, device="cpu"
    ),
    objectives=("val_loss", "params"), sampler="random", trials=3, seed=1,
)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_the_command_line(optnas, tmp_path, monkeypatch, name, code):
    if not hasattr(signal, name):
        pytest.skip(f"there is no {name} here")
    (tmp_path / "mine.py").write_text(FILE)
    assert optnas("run", "mine.py")[0] == 0
    monkeypatch.setenv("SIGNAL", name)
    (tmp_path / "interrupt").touch()
    ended, _, err = optnas("retrain", "mine.py", "--trial", 1, "--seeds", 2)
    assert ended == code
    assert "what is finished is kept: the same command continues from there" in err

    ended, out, err = optnas("retrain", "mine.py", "--trial", 1, "--seeds", 2, "--device", "cpu")
    assert ended == 0
    assert "[2/2] seed 1  test_loss " in err
    for text in ("trial 1: width=", "test_accuracy", "±", "[red]b[/red]", "mine_retrained"):
        assert text in out
    assert re.search(r"\nnext: optnas export( --format pt2)? mine.py --trial 1\n$", out)
    ended, out, err = optnas("retrain", "sqlite:///mine.db", "--trial", 1, "--seeds", 2)
    assert (ended, err) == (0, "study mine in sqlite:///mine.db, on cpu\n")
    _, _, err = optnas("retrain", "mine.py", "--trial", 2, "--seeds", 1, "--epochs", 1)
    assert "other networks of this study were scored on the test part: trial 1 (2 epochs)" in err
    (tmp_path / "deep").mkdir()
    ended, out, _ = optnas("backup", "mine.py", "deep/copy.db")
    assert (ended, "weights:  deep/mine_retrained" in out) == (0, True)
    kept = {p.name for p in (tmp_path / "mine_retrained").rglob("*")}
    assert {p.name for p in (tmp_path / "deep" / "mine_retrained").rglob("*")} == kept


def test_a_study_without_a_study_file_is_refused(optnas):
    optuna.create_study(study_name="plain", storage="sqlite:///plain.db")
    for command in ("retrain", "export"):
        code, _, err = optnas(command, "sqlite:///plain.db", "--trial", 0)
        assert (code, "remembers no study file" in err) == (2, True)


class Views(nn.Module):
    """A network with buffers that are parts of others, and where asked, a state of its own."""

    def __init__(self, extra):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("scale", torch.randn(2, 1).unbind(0)[0])
        self.register_buffer("mask", torch.ones(1, 3).expand(2, 3))
        self.extra = extra

    def forward(self, x):
        return self.layer(x) * self.scale * self.mask[0]


class WithExtra(Views):
    def get_extra_state(self):
        return {"n": self.extra, "t": torch.ones(2)}

    def set_extra_state(self, state):
        self.extra = state["n"]


@pytest.mark.parametrize(("network", "suffix"), [(Views, "safetensors"), (WithExtra, "pt")])
def test_weights_of_any_form_are_kept_and_taken(network, suffix):
    recipe = optnas.Recipe(ema_decay=0.5)
    search = search_of(
        TrainingEvaluator(DATA, 2, recipe, device="cpu", epoch="best"),
        trials=1,
        space=optnas.ModelSpace(network, {"extra": [7]}, torch.zeros(1, 4)),
        baselines={},
    )
    study = run_of(search)
    assert "detail:weights" not in study.trials[0].user_attrs
    assert score_on_validation(optnas.best_model(study, search)) == pytest.approx(
        study.trials[0].values[0]
    )
    (run,) = retrain(study, search, 0, seeds=1).runs
    assert run.weights.endswith(f"seed0.{suffix}")
    done = optnas.export_model(study, search, 0, "m.pt2")
    assert done.weights.run == run
    if suffix == "pt":
        with pytest.raises(InputError, match=r'hold "_extra_state" \(.*dict\): try `format="pt2"`'):
            optnas.export_model(study, search, 0, "m.safetensors")
    path = search.files(study).path("_retrained") / run.weights
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(InputError, match=r"was changed since the training that its scores are of"):
        optnas.export_model(study, search, 0, "n.pt2")


def score_on_validation(model):
    with torch.no_grad():
        return nn.functional.cross_entropy(model(DATA.val[0]), DATA.val[1]).item()


def test_a_network_whose_weights_cannot_be_kept_is_refused_before_its_training(monkeypatch):
    class Odd(Views):
        def get_extra_state(self):
            return Odd

        def set_extra_state(self, state):
            pass

    space = optnas.ModelSpace(Odd, {"extra": [7]}, torch.zeros(1, 4))
    search = search_of(trials=1, space=space, baselines={})
    study = run_of(search)
    epochs = count_epochs(monkeypatch)
    with pytest.raises(InputError, match=r"trial 0 can't be retrained: the weights can't be kept"):
        retrain(study, search, 0, seeds=1)
    assert epochs == []
