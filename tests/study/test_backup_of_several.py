"""A backup of a database with several studies."""

import dataclasses
from pathlib import Path

import optuna
from optuna.trial import TrialState

from optnas.storage.open import close_storage
from optnas.storage.urls import Location
from optnas.study.attributes import LEASE
from optnas.study.folders import files_of
from optnas.study.leases import is_abandoned, lease

NAMES = ("first", "second")


def loaded(name, file):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{file}")


def test_each_study_of_a_backup_is_one_of_its_own(search, tmp_path, optnas):
    """Running trials run in the original alone, and weights are copied for each."""
    for name in NAMES:
        run = dataclasses.replace(search, storage="both.db", name=name, trials=2)
        study = run.run(progress=False)
        trial = study.ask()
        study._storage.set_trial_user_attr(trial._trial_id, LEASE, lease())
        close_storage(study._storage)
    optuna.create_study(study_name="plain", storage="sqlite:///both.db")
    (tmp_path / "deep").mkdir()
    code, out, err = optnas("backup", "both.db", "deep/copy.db", "--name", "second")
    assert code == 0, err
    for name in NAMES:
        assert f"weights:  deep/{name}_weights\n" in out
        copied, original = loaded(name, "deep/copy.db"), loaded(name, "both.db")
        (held,) = original.get_trials(states=(TrialState.RUNNING,))
        (ended,) = copied.get_trials(states=(TrialState.RUNNING,))
        assert not is_abandoned(held)
        assert is_abandoned(ended)
        folders = [
            files_of(study, Location.here(f"sqlite:///{file}")).path("_weights")
            for study, file in ((original, "both.db"), (copied, "deep/copy.db"))
        ]
        names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
        assert folders[0] != folders[1]
        assert names[0] == names[1]
        assert len(names[0]) == 2
    # Next to the original, where all names are taken.
    code, out, err = optnas("backup", "both.db", "beside.db", "--name", "first")
    assert code == 0, err
    assert out.count("weights:  ") == 2
    assert len({*Path().glob("*_weights")}) == 4
