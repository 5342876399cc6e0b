"""Samplers across processes: they resume exactly, and share a study."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import sampler_process
from optuna.trial import TrialState

from optnas.storage.open import open_storage
from optnas.study.attributes import is_lost
from optnas.study.places import place

SCRIPT = Path(sampler_process.__file__)


def command(folder, total, *names):
    return [sys.executable, "-W", "error", str(SCRIPT), str(folder), str(total), *names]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """60 trials of each sampler on each storage, cut at three points into four processes."""
    folder = tmp_path_factory.mktemp("pieces")
    for total in (7, 23, 42, 60):
        subprocess.run(command(folder, total), check=True)
    return folder


@pytest.mark.parametrize("name", sampler_process.SAMPLERS)
def test_a_study_cut_into_processes_is_the_same_study(pieces, name):
    whole = optuna.create_study(
        directions=["minimize", "minimize"], sampler=sampler_process.SAMPLERS[name]()
    )
    whole.optimize(sampler_process.objective, n_trials=60)
    wanted = [(t.params, t.state) for t in whole.trials]
    for kind, storage in sampler_process.storages(pieces):
        cut = sampler_process.open_study(storage, name).trials
        assert [(t.params, t.state) for t in cut] == wanted, kind


@pytest.mark.slow
@pytest.mark.parametrize("name", sampler_process.KILLED_SAMPLERS)
def test_a_worker_that_is_killed_five_times_leaves_no_trace_in_the_sequence(tmp_path, name):
    rng = random.Random(name)
    for _ in range(5):
        worker = subprocess.Popen(command(tmp_path, 30, name), stdout=subprocess.PIPE)
        for _ in range(rng.randrange(12, 40)):  # somewhere among the parameters of a trial
            worker.stdout.readline()
        worker.kill()
        worker.communicate()
        assert worker.returncode == -signal.SIGKILL
    storage = open_storage(f"sqlite:///{tmp_path}/killed.db", create=True)
    cut = sampler_process.work(storage, 30, name, talk=False)
    whole = sampler_process.work(optuna.storages.InMemoryStorage(), 30, name, talk=False)
    assert sum(is_lost(trial) for trial in cut.trials) >= 3
    ended = [t for t in cut.trials if not is_lost(t)]
    places = [place(t, cut.trials) for t in ended]
    assert places == sorted(places)
    wanted = [(t.params, t.values, t.state) for t in whole.trials]
    assert [(t.params, t.values, t.state) for t in ended] == wanted
    assert TrialState.FAIL in {t.state for t in ended}, "some of them diverge"


def test_two_processes_share_a_study(tmp_path):
    sampler_process.make_studies(tmp_path)
    workers = [subprocess.Popen(command(tmp_path, 20)) for _ in range(2)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    for study in sampler_process.make_studies(tmp_path):
        trials = study.trials
        assert len(trials) >= 20
        assert [t.number for t in trials] == list(range(len(trials)))
        assert not [t for t in trials if not t.state.is_finished()]
        assert sum(t.state == TrialState.COMPLETE for t in trials) >= 16
        # Two that draw at the very same moment can't see each other's parameters yet.
        assert len({str(t.params) for t in trials}) >= len(trials) - 2
