import logging
import os
import pickle
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
import warm
from optuna.trial import FixedTrial, TrialState, create_trial
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.candidate import Candidate
from optnas.devices.device import cpu_threads
from optnas.evaluators import FunctionEvaluator, Recipe, Report, TrainingEvaluator, checkpoint
from optnas.evaluators.checkpoint import FILE
from optnas.objective.checkpoint_folders import sweep
from optnas.runs.loop import run_trials
from optnas.search_spaces import FunctionSpace
from optnas.study.artifacts import WeightStore
from optnas.study.attributes import BASELINE, CURVE, FAILURE, INTERRUPTED, KILLED, LOST, RETRY_OF
from optnas.study.trial_order import origin

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
EPOCHS = 5
X = np.random.default_rng(0).normal(size=(60, 4))
DATA = optnas.arrays(X + (np.arange(60) % 3)[:, None], np.arange(60) % 3, name="blobs")
DIGITS = optnas.digits()


@pytest.fixture(autouse=True)
def _at_every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "STORE_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


class Noise(nn.Module):
    """Draws from all generators of the CPU, so that each must resume where it was."""

    def forward(self, x):
        if not self.training:
            return x
        return x + 0.1 * (random.random() + np.random.rand() + random.gauss(0, 1))


def network(width=8):
    return nn.Sequential(
        nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.4), Noise(),
        nn.Linear(width, 3),
    )  # fmt: skip


def build(trial):
    return network(trial.suggest_int("width", 4, 40))


class Killed(KeyboardInterrupt):
    """Ends the run as a signal would."""


class Listener:
    """Counts the epochs that are trained, and interrupts once at one of them."""

    def __init__(self, trial=None, epoch=None):
        self.at = trial, epoch
        self.epochs = []

    def __call__(self, trial, step, scores):
        self.epochs.append((trial.number, step))
        if (trial.number, step) == self.at:
            raise Killed


def make(folder, evaluator, listener=None, **kwargs):
    objective = optnas.Objective(
        FunctionSpace(build, torch.zeros(1, 4)),
        evaluator,
        ("val_loss", "params"),
        weights=WeightStore(folder / "weights"),
        checkpoints=folder / "checkpoints",
        seed=3,
        listeners=[listener or Listener()],
        **kwargs,
    )
    study = optuna.create_study(
        directions=objective.directions, sampler=optnas.samplers.make_sampler("random", 3)
    )
    return study, objective


def outcome(study, objective):
    """Values, curves and weights of the finished trials, in order."""
    objective.open_folders(study, write=False)
    found = []
    for trial in study.trials:
        if trial.state == TrialState.COMPLETE:
            model = objective.candidate(trial).model
            try:
                objective.weights.load(study, trial._trial_id, model)
                weights = {n: t.tolist() for n, t in model.state_dict().items()}
            except ValueError:  # no longer on the front
                weights = {}
            scores = [trial.user_attrs[name] for name in objective.evaluator.provides]
            found.append((trial.values, scores, trial.user_attrs[CURVE], weights))
    assert any(weights for *_, weights in found)
    return found


def evaluator_of(optimizer="adam", epoch="last", epochs=EPOCHS, data=DATA, **kwargs):
    recipe = Recipe(optimizer=optimizer, learning_rate=0.05, **kwargs)
    return TrainingEvaluator(data, epochs, recipe, device="cpu", epoch=epoch)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("adam", {}),
        ("adamw", {}),
        ("sgd", {}),
        ("rmsprop", {}),
        ("adamw", {"ema_decay": 0.8, "mixup": 0.3}),
    ],
)
@pytest.mark.parametrize("epoch", ["last", "best"])
def test_a_retry_ends_as_a_training_that_was_never_interrupted(
    tmp_path, optimizer, settings, epoch
):
    evaluator = evaluator_of(optimizer, epoch, batch_size=16, **settings)
    study, objective = make(tmp_path / "whole", evaluator)
    run_trials(study, objective, trials=3)
    whole = outcome(study, objective)

    listener = Listener(1, 3)
    study, objective = make(tmp_path / "cut", evaluator, listener)
    with pytest.raises(Killed):
        run_trials(study, objective, trials=3)
    assert [p.name for p in objective.checkpoints.rglob("*")] == ["trial1", FILE]
    random.seed(1)
    run_trials(study, objective, trials=3)
    assert study.trials[2].user_attrs[RETRY_OF] == 1
    assert outcome(study, objective) == whole
    # Epoch 3 was reported before its checkpoint could be written; 0 to 2 aren't trained again.
    assert [step for number, step in listener.epochs if number == 2] == [3, 4]
    assert not objective.checkpoints.exists()


def test_a_retry_of_a_retry_resumes_too(tmp_path):
    study, objective = make(tmp_path / "whole", evaluator_of())
    run_trials(study, objective, trials=1)
    whole = outcome(study, objective)
    study, objective = make(tmp_path / "cut", evaluator_of())
    epochs = []
    for at in (1, 3, None):
        listener = Listener(upcoming(study), at)
        objective.listeners = (listener,)
        if at is None:
            run_trials(study, objective, trials=1)
        else:
            with pytest.raises(Killed):
                run_trials(study, objective, trials=1)
        epochs.append([step for _, step in listener.epochs])
    assert epochs == [[0, 1], [1, 2, 3], [3, 4]]
    assert outcome(study, objective) == whole
    assert [origin(t, study.trials) for t in study.trials] == [0, 0, 0]


def test_baselines_and_searched_recipes_resume_too(tmp_path):
    evaluator = TrainingEvaluator(
        DATA, 3, optnas.RecipeSpace(learning_rate=[0.01, 0.1]), device="cpu"
    )
    found = []
    for name, listener in (("whole", Listener()), ("cut", Listener(0, 2))):
        study, objective = make(tmp_path / name, evaluator, listener, baselines={"one": network})
        if name == "cut":
            with pytest.raises(Killed):
                run_trials(study, objective, trials=2, baselines={"one": {}})
        run_trials(study, objective, trials=2, baselines={"one": {}})
        found.append(outcome(study, objective))
    assert found[0] == found[1]
    assert [t.user_attrs.get(BASELINE) for t in study.trials] == ["one", "one", None]
    assert (1, 0) not in listener.epochs


def test_loaders_that_draw_from_the_global_generators_resume_exactly(tmp_path):
    loaders = optnas.Loaders(
        DataLoader(TensorDataset(*DATA.train), 16, shuffle=True),
        DataLoader(TensorDataset(*DATA.val), 16),
        "classification",
        "blobs",
    )
    found = []
    for name, at in (("whole", None), ("cut", 2)):
        study, objective = make(tmp_path / name, evaluator_of(data=loaders), Listener(0, at))
        if at is not None:
            with pytest.raises(Killed):
                run_trials(study, objective, trials=1)
        run_trials(study, objective, trials=1)
        found.append(outcome(study, objective))
    assert found[0] == found[1]


def train(folder, evaluator=None, listener=None, seed=0, name="net", build=network, width=8):
    """A training without a study: scores, curve, steps that were heard of, weights."""
    evaluator = evaluator or evaluator_of()
    candidate = Candidate(name, torch.zeros(1, 4), lambda: build(width), seed)
    heard = []
    report = Report(listeners=[lambda step, _: heard.append(step), listener or (lambda *_: None)],
                    folder=folder)  # fmt: skip
    scores = evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), report)
    weights = {n: t.tolist() for n, t in candidate.model.state_dict().items()}
    return scores, report.curve, heard, weights


def interrupted(folder, at=2, **kwargs):
    """The checkpoint that an interrupted training leaves."""

    def stop(step, scores):
        if step == at:
            raise Killed

    with pytest.raises(Killed):
        train(folder, listener=stop, **kwargs)
    return folder / FILE


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"name": "other"},
        {"evaluator": evaluator_of("sgd")},
        {"evaluator": evaluator_of(epochs=6)},
        {"evaluator": evaluator_of(epoch="best")},
        {"width": 16},  # the code of the space was edited
    ],
    ids=["seed", "architecture", "recipe", "epochs", "best", "shapes"],
)
def test_a_checkpoint_of_another_training_is_not_used(tmp_path, caplog, other):
    fresh = train(None, **other)
    interrupted(tmp_path)
    assert train(tmp_path, **other) == fresh
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("optnas", logging.WARNING)
    assert "can't be used, training begins anew" in record.message
    expected = "size mismatch" if "width" in other else "belongs to another training"
    assert expected in record.message


class Bomb:
    """Leaves a file behind when it is loaded as a pickle."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def whole_but(change):
    """A checkpoint with something wrong inside."""

    def spoil(path):
        state = torch.load(path, weights_only=True)
        change(state)
        torch.save(state, path)

    return spoil


SPOILED = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"garbage" * 99),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "damaged": lambda path: path.write_bytes(path.read_bytes().replace(b"curve", b"carve")),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "no dictionary": lambda path: torch.save([1, 2], path),
    "no random state": whole_but(lambda state: state.pop("random")),
    "no optimizer": whole_but(lambda state: state["loop"].pop("optimizer")),
    "other optimizer": whole_but(lambda s: s["loop"]["optimizer"].update(param_groups=[])),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"names": Bomb()}, 2)),
    "torch pickle": lambda path: torch.save({"names": Bomb()}, path),
    "old torch pickle": lambda path: torch.save(Bomb(), path, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_checkpoint_that_cannot_be_read_is_not_used(tmp_path, caplog, spoil):
    fresh = train(None)
    folder = tmp_path / "trial0"
    spoil(interrupted(folder))
    assert train(folder) == fresh
    assert not Path("exploded").exists()
    assert "can't be used, training begins anew" in caplog.records[0].message
    assert "weights_only" not in caplog.text


def test_the_best_epoch_may_lie_before_the_interruption(tmp_path):
    recipe = Recipe(optimizer="sgd", learning_rate=20.0, batch_size=8)
    evaluator = TrainingEvaluator(DATA, EPOCHS, recipe, device="cpu", epoch="best")
    whole = train(None, evaluator)
    losses = [entry["val_loss"] for entry in whole[1]]
    assert losses.index(min(losses)) < 3
    interrupted(tmp_path, at=3, evaluator=evaluator)
    again = train(tmp_path, evaluator)
    assert again[2] == [3, 4]
    assert (again[0], again[1], again[3]) == (whole[0], whole[1], whole[3])


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("epoch", ["last", "best"])
@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "one_cycle"},
        {"warmup": 0.3, "max_grad_norm": 0.5, "label_smoothing": 0.1},
        {"ema_decay": 0.8},
        {"mixup": 0.4, "ema_decay": 0.5},
        {"accumulate": 2, "ema_decay": 0.5},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_every_recipe_resumes_bit_by_bit(tmp_path, settings, epoch, at):
    evaluator = evaluator_of("sgd", epoch, batch_size=16, **settings)
    whole = train(None, evaluator)
    interrupted(tmp_path, at=at, evaluator=evaluator)
    again = train(tmp_path, evaluator)
    assert again[2] == list(range(at, EPOCHS))
    assert (again[0], again[1], again[3]) == (whole[0], whole[1], whole[3])


def test_a_checkpoint_of_averaged_weights_that_lacks_the_trained_ones_is_not_used(tmp_path, caplog):
    evaluator = evaluator_of(ema_decay=0.8)
    fresh = train(None, evaluator)
    whole_but(lambda state: state["loop"].pop("trained"))(
        interrupted(tmp_path, evaluator=evaluator)
    )
    assert train(tmp_path, evaluator) == fresh
    assert "can't be used, training begins anew" in caplog.records[0].message


def test_a_training_draws_as_without_checkpoints(tmp_path):
    assert train(tmp_path) == train(None)


def cnn(width):
    """Its gradients differ from run to run with cuDNN's usual kernels."""
    return nn.Sequential(
        nn.Conv2d(1, width, 7, padding=3), nn.BatchNorm2d(width), nn.GELU(),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), Noise(), nn.Linear(2 * width, 10),
    )  # fmt: skip


AUGMENTED = {"flip": True, "shift": 1, "cutout": 3, "mixup": 0.3, "label_smoothing": 0.1}


@pytest.mark.parametrize("width", [4, 16])  # from 9 channels on they lie last
def test_augmented_images_resume_bit_by_bit(tmp_path, width):
    x, y = DIGITS.train
    few = replace(DIGITS, train=(x[:70], y[:70]), val=(x[:70], y[:70]))
    evaluator = evaluator_of(data=few, batch_size=32, ema_decay=0.9, **AUGMENTED)
    settings = {"evaluator": evaluator, "build": cnn, "width": width}
    whole = train(None, **settings)
    interrupted(tmp_path, **settings)
    again = train(tmp_path, **settings)
    assert again[2] == [2, 3, 4]
    assert (again[0], again[1], again[3]) == (whole[0], whole[1], whole[3])


@NEEDS_CUDA
@pytest.mark.parametrize("settings", [{}, AUGMENTED | {"ema_decay": 0.9}], ids=["", "augmented"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumes_on_cuda_bit_by_bit(tmp_path, precision, settings):
    recipe = Recipe(learning_rate=0.01, batch_size=32, **settings)
    evaluator = TrainingEvaluator(DIGITS, EPOCHS, recipe, device="cuda", precision=precision)
    settings = {"evaluator": evaluator, "build": cnn, "width": 32}
    whole = train(None, **settings)
    interrupted(tmp_path, **settings)
    again = train(tmp_path, **settings)
    assert again[2] == [2, 3, 4]
    assert (again[0], again[1], again[3]) == (whole[0], whole[1], whole[3])
    assert not torch.backends.cudnn.deterministic


@NEEDS_CUDA
def test_resumes_on_another_device(tmp_path):
    def on(device):
        return TrainingEvaluator(DATA, EPOCHS, device=device)

    for first, second in (("cpu", "cuda"), ("cuda", "cpu")):
        folder = tmp_path / first
        interrupted(folder, evaluator=on(first))
        assert train(folder, on(second))[2] == [2, 3, 4]


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path, caplog):
    (tmp_path / "file").touch()
    evaluator = evaluator_of()
    study, objective = make(tmp_path, evaluator)
    objective.checkpoints = tmp_path / "file" / "checkpoints"
    run_trials(study, objective, trials=1)
    assert study.trials[0].state == TrialState.COMPLETE
    (record,) = caplog.records
    assert "no checkpoint can be written" in record.message
    assert "training continues without" in record.message


def test_a_write_that_fails_half_way_leaves_the_last_checkpoint(tmp_path, caplog, monkeypatch):
    save = torch.save
    writes = []

    def full_disk(state, path):
        writes.append(path)
        save(state, path)
        if len(writes) > 2:
            path.write_bytes(path.read_bytes()[:99])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    scores, *_ = train(tmp_path)
    assert len(writes) == len(set(writes)) == 3
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert torch.load(tmp_path / FILE, weights_only=True)["loop"]["epoch"] == 1
    assert "No space left" in caplog.text
    again, _, heard, _ = train(tmp_path)
    assert (again, heard) == (scores, [1, 2, 3, 4])


class Clock:
    """Time passes in epochs and in writes only."""

    def __init__(self, monkeypatch, epoch, write):
        self.now, self.writes = 100.0, []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(checkpoint, "STORE_SECONDS", 5.0)
        monkeypatch.setattr(checkpoint, "SHARE", 0.05)
        self.epoch, self.write = epoch, write
        monkeypatch.setattr(torch, "save", self.save)

    def save(self, state, path):
        path.touch()
        self.writes.append(state["loop"]["epoch"])
        self.now += self.write

    def listen(self, step, scores):
        self.now += self.epoch


@pytest.mark.parametrize(
    ("epoch", "write", "writes"),
    [
        (0.01, 0.1, []),  # over before the first 5 s
        (1.0, 0.1, [5, 10, 15, 20, 25]),  # every 5 s
        (6.0, 0.1, list(range(1, 30))),  # at every epoch, but none after the last
        (6.0, 2.0, [1, 8, 15, 22, 29]),  # a write of 2 s is worth 40 s of training
    ],
)
def test_checkpoints_are_rare_enough(tmp_path, monkeypatch, epoch, write, writes):
    clock = Clock(monkeypatch, epoch, write)
    train(tmp_path / "new", evaluator_of(epochs=30), clock.listen)
    assert clock.writes == writes
    assert (tmp_path / "new").exists() == bool(writes)


def test_the_folder_is_removed_when_its_trial_ends(tmp_path):
    def fit(model, recipe, report):
        folders.append(report.folder)
        assert not report.folder.exists()
        report.folder.mkdir(parents=True)
        (report.folder / "mine").write_text("here")
        ending = endings.pop(0)
        if isinstance(ending, BaseException):
            raise ending
        return {"val_loss": ending}

    endings = [1.0, float("nan"), optuna.TrialPruned("enough"), ZeroDivisionError(), 1.0]
    folders = []
    study, objective = make(tmp_path, FunctionEvaluator(fit, {"val_loss": "minimize"}))
    for number, width in enumerate([4, 8, 8, 8, 8]):
        study.enqueue_trial({"width": width})
        study.optimize(objective, n_trials=1, catch=(ZeroDivisionError,))
        assert folders[-1] == objective.checkpoints / f"trial{number}"
        assert not objective.checkpoints.exists()
    names = [t.state.name for t in study.trials]
    assert names == ["COMPLETE", "FAIL", "PRUNED", "FAIL", "COMPLETE"]
    for ending, error in ((SystemExit(1), ValueError), (BaseException("own"), RuntimeError)):
        endings[:] = [ending]
        study.enqueue_trial({"width": 16})
        with pytest.raises(error, match=r"sys\.exit|own"):
            study.optimize(objective, n_trials=1)
        assert not objective.checkpoints.exists()
    study.enqueue_trial({"width": 4})  # a duplicate
    study.optimize(objective, n_trials=1)
    assert len(folders) == 7


def test_your_own_training_code_finds_its_checkpoint_in_the_retry(tmp_path):
    def fit(model, recipe, report):
        file = report.folder / "epoch"
        start = int(file.read_text()) if file.exists() else 0
        begun.append(start)
        for epoch in range(start, 4):
            report.folder.mkdir(parents=True, exist_ok=True)
            file.write_text(str(epoch))
            report(epoch, {"val_loss": 1.0})
        return {"val_loss": 1.0}

    begun = []
    evaluator = FunctionEvaluator(fit, {"val_loss": "minimize"})
    study, objective = make(tmp_path, evaluator, Listener(1, 2))
    with pytest.raises(Killed):
        run_trials(study, objective, trials=2)
    assert (objective.checkpoints / "trial1" / "epoch").read_text() == "2"
    run_trials(study, objective, trials=2)
    assert begun == [0, 0, 2]
    assert not objective.checkpoints.exists()


def test_without_a_folder_nothing_is_kept(tmp_path):
    objective = optnas.Objective(
        FunctionSpace(build, torch.zeros(1, 4)), evaluator_of(), ("val_loss", "params")
    )
    assert objective.checkpoints is None
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=1)
    sweep(objective.checkpoints, study)
    assert not any(path.is_dir() for path in tmp_path.iterdir())


def add(study, state, **attrs):
    values = [1.0] if state == TrialState.COMPLETE else None
    study.add_trial(create_trial(state=state, values=values, user_attrs=attrs))


def test_folders_that_no_retry_will_read_are_removed(tmp_path):
    study = optuna.create_study()
    add(study, TrialState.COMPLETE)
    add(study, TrialState.RUNNING)
    add(study, TrialState.FAIL, **{LOST: INTERRUPTED})  # 2: not yet repeated
    add(study, TrialState.FAIL, **{LOST: KILLED})  # 3: its retry waits
    add(study, TrialState.WAITING, **{RETRY_OF: 3})
    add(study, TrialState.FAIL, **{LOST: INTERRUPTED})  # 5: its retry has ended
    add(study, TrialState.PRUNED, **{RETRY_OF: 5})
    add(study, TrialState.FAIL, **{LOST: KILLED})  # 7: given up
    add(study, TrialState.FAIL, **{FAILURE: "its process was killed", RETRY_OF: 7})
    checkpoints = tmp_path / "checkpoints"
    for name in ("trial0", "trial1", "trial2", "trial3", "trial5", "trial7", "trial99", "trials"):
        (checkpoints / name).mkdir(parents=True)
    sweep(checkpoints, study)
    left = sorted(path.name for path in checkpoints.iterdir())
    assert left == ["trial1", "trial2", "trial3", "trials"]


def make_search(folder):
    folder.mkdir(exist_ok=True)
    return optnas.Search(
        space=FunctionSpace(build, torch.zeros(1, 4)),
        evaluator=evaluator_of(),
        objectives=("val_loss", "params"),
        sampler="random",
        trials=2,
        seed=1,
        device="cpu",
        name="here",
        folder=folder,
    )


def upcoming(study):
    """The number of the trial that is run next."""
    waiting = (t.number for t in study.trials if t.state == TrialState.WAITING)
    return next(waiting, len(study.trials))


def run(search, study, listener):
    with cpu_threads(search.threads):
        run_trials(study, search.objective([listener]), trials=search.trials)


def run_and_be_killed(folder, number, epoch):
    def kill(trial, step, scores):
        if (trial.number, step) == (number, epoch):
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.STORE_SECONDS, checkpoint.SHARE = 0.0, 1e9
    search = make_search(Path(folder))
    run(search, search.open(), kill)


def test_a_killed_process_loses_the_epochs_since_its_checkpoint(tmp_path):
    search = make_search(tmp_path / "whole")
    whole = outcome(search.run(progress=False), search.objective())
    folder = str(tmp_path / "cut")
    killed = warm.run(f"import test_checkpoints as t; t.run_and_be_killed({folder!r}, 1, 3)")
    with killed.stdin, killed.stdout:
        assert killed.wait() == -signal.SIGKILL
    search, listener = make_search(tmp_path / "cut"), Listener()
    study = search.open()
    run(search, study, listener)
    assert listener.epochs == [(2, 3), (2, 4)]
    assert [t.user_attrs.get(LOST) for t in study.trials] == [None, KILLED, None]
    assert outcome(study, search.objective()) == whole


def test_a_search_keeps_checkpoints_next_to_its_database(tmp_path):
    search = make_search(tmp_path / "place")
    checkpoints = tmp_path / "place" / "here_checkpoints"
    study = search.open()
    assert search.files(study).path("_checkpoints") == checkpoints
    with pytest.raises(Killed):
        run(search, study, Listener(0, 2))
    (checkpoints / "trial77").mkdir()
    study = search.open()
    assert [path.name for path in checkpoints.iterdir()] == ["trial0"]
    listener = Listener()
    run(search, study, listener)
    assert (1, 0) not in listener.epochs
    assert not checkpoints.exists()
