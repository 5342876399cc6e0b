"""Samplers across processes: they resume exactly, and share a study."""

import multiprocessing
import random
import signal

import optuna
import pytest
import sampler_process
from common import processes
from optuna.trial import TrialState

from optnas.storage.open import open_storage
from optnas.study.attributes import is_lost
from optnas.study.trial_order import place


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """60 trials of each sampler on each storage, cut at three points into four processes."""
    folder = tmp_path_factory.mktemp("pieces")
    for total in (7, 23, 42, 60):
        worker = processes.start(sampler_process.run, folder, total)
        assert processes.wait_for([worker]) == [0]
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
        draws, drawn = multiprocessing.Pipe(duplex=False)
        with draws:
            worker = processes.start(sampler_process.work_on, tmp_path, 30, name, drawn)
            drawn.close()
            for _ in range(rng.randrange(12, 40)):  # somewhere among the parameters of a trial
                draws.recv_bytes()
            worker.kill()
            worker.join()
        assert worker.exitcode == -signal.SIGKILL
    storage = open_storage(f"sqlite:///{tmp_path}/killed.db", create=True)
    cut = sampler_process.work(storage, 30, name)
    whole = sampler_process.work(optuna.storages.InMemoryStorage(), 30, name)
    assert sum(is_lost(trial) for trial in cut.trials) >= 3
    ended = [t for t in cut.trials if not is_lost(t)]
    places = [place(t, cut.trials) for t in ended]
    assert places == sorted(places)
    wanted = [(t.params, t.values, t.state) for t in whole.trials]
    assert [(t.params, t.values, t.state) for t in ended] == wanted
    assert TrialState.FAIL in {t.state for t in ended}, "some of them diverge"


def test_two_processes_share_a_study(tmp_path):
    sampler_process.make_studies(tmp_path)
    workers = [processes.start(sampler_process.run, tmp_path, 20) for _ in range(2)]
    assert processes.wait_for(workers) == [0, 0]
    for study in sampler_process.make_studies(tmp_path):
        trials = study.trials
        assert len(trials) >= 20
        assert [t.number for t in trials] == list(range(len(trials)))
        assert not [t for t in trials if not t.state.is_finished()]
        assert sum(t.state == TrialState.COMPLETE for t in trials) >= len(trials) // 2
        # Two that draw at the very same moment can't see each other's parameters yet.
        assert len({str(t.params) for t in trials}) >= len(trials) - 2
