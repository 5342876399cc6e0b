"""Studies that an earlier version left in the middle are resumed to the end that it would reach."""

import dataclasses
import json
import shutil
from pathlib import Path

import optuna
import pytest
import safetensors.torch
from optuna.trial import TrialState

from optnas.finished.best_model import best_model
from optnas.search.study_file import load_search
from optnas.storage.open import close_storage, open_storage
from optnas.study.artifacts import PREFIX
from optnas.study.attributes import (
    ARCHITECTURE,
    BASELINE,
    CURVE,
    INTERRUPTED,
    KILLED,
    LOST,
    RECIPE,
    RETRY_OF,
)
from optnas.study.record import RECORD

FOLDER = Path(__file__).parents[1] / "fixtures" / "old_study"
URLS = {"sqlite": "sqlite:///old_study.db", "journal": "journal:///old_study.journal"}
END = json.loads((FOLDER / "end.json").read_text())
EPOCHS, LOST_TRIAL, EPOCHS_DONE = 5, 5, 2
"""Epochs of a training, the lost trial, and those of its epochs that its checkpoint holds."""
ROUNDING = 1e-3
"""Of trained values; the losses of this study lie at least 0.5 % apart."""


@pytest.fixture(params=URLS)
def kind(request, tmp_path):
    """A copy of a stopped study in the working directory."""
    shutil.copytree(FOLDER / request.param, tmp_path, dirs_exist_ok=True)
    shutil.copy(FOLDER / "old_study.py", tmp_path)
    return request.param


def opened(kind):
    return optuna.load_study(study_name="old_study", storage=open_storage(URLS[kind]))


def kept_weights(study):
    """The sum of all absolute weights, by the number of the trial."""
    found = {}
    numbers = {t._trial_id: t.number for t in study.get_trials(deepcopy=False)}
    for key, value in study._storage.get_study_system_attrs(study._study_id).items():
        if key.startswith(PREFIX) and (meta := json.loads(value)):
            tensors = safetensors.torch.load_file(Path("old_study_weights") / meta["artifact_id"])
            total = sum(float(tensor.abs().sum()) for tensor in tensors.values())
            found[numbers[int(key.removeprefix(PREFIX).split(":")[0])]] = total
    return found


def test_the_fixture_is_a_study_in_the_middle(kind):
    study = opened(kind)
    states = [t.state for t in study.trials]
    assert states[:LOST_TRIAL] == [TrialState.COMPLETE] * LOST_TRIAL
    queued = [TrialState.FAIL, TrialState.WAITING]
    assert states[LOST_TRIAL:] == ([TrialState.RUNNING] if kind == "sqlite" else queued)
    assert kept_weights(study)
    assert Path("old_study_checkpoints", f"trial{LOST_TRIAL}").is_dir()
    close_storage(study._storage)


def test_an_old_study_is_resumed_to_the_same_end(kind, optnas):
    code, _, err = optnas("resume", URLS[kind], "--file", "old_study.py")
    assert code == 0, err
    assert "accept" not in err
    study, end = opened(kind), END[kind]
    trials = study.get_trials()
    assert len(trials) == len(end["trials"])
    for trial, old in zip(trials, end["trials"], strict=True):
        assert trial.state.name == old["state"]
        assert trial.params == old["params"]
        for key, name in (
            (ARCHITECTURE, "architecture"),
            (RECIPE, "recipe"),
            (BASELINE, "baseline"),
            (RETRY_OF, "retry_of"),
            (LOST, "lost"),
        ):
            assert trial.user_attrs.get(key) == old[name], (trial.number, key)
        assert len(trial.user_attrs.get(CURVE, [])) == old["epochs"]
        if old["values"] is not None:
            assert trial.values[0] == pytest.approx(old["values"][0], rel=ROUNDING)
            assert trial.values[1:] == old["values"][1:]
    assert sorted(t.number for t in study.best_trials) == end["front"]
    weights = {int(number): total for number, total in end["weights"].items()}
    assert kept_weights(study) == pytest.approx(weights, rel=ROUNDING)
    close_storage(study._storage)


def test_the_lost_trial_is_repeated_from_its_checkpoint(kind, optnas):
    assert optnas("resume", URLS[kind], "--file", "old_study.py")[0] == 0
    study = opened(kind)
    lost = study.trials[LOST_TRIAL]
    assert lost.user_attrs[LOST] == (KILLED if kind == "sqlite" else INTERRUPTED)
    (retry,) = [t for t in study.trials if t.user_attrs.get(RETRY_OF) == LOST_TRIAL]
    assert retry.params == lost.params
    trained = sum(t.number > LOST_TRIAL for t in study.trials)
    scored = len(Path("epochs.txt").read_text().splitlines())
    assert scored == EPOCHS * trained - EPOCHS_DONE
    assert not Path("old_study_checkpoints").exists()
    close_storage(study._storage)


def test_an_old_study_runs_in_python_and_its_kept_weights_load(kind):
    search = dataclasses.replace(load_search("old_study.py"), storage=URLS[kind])
    study = search.run(progress=False)
    assert study.user_attrs[RECORD].get("accepted", []) == []
    for number, total in END[kind]["weights"].items():
        if int(number) in END[kind]["front"]:
            weights = best_model(study, search, trial=int(number)).state_dict().values()
            assert sum(float(w.abs().sum()) for w in weights) == pytest.approx(total, rel=ROUNDING)
    close_storage(study._storage)
