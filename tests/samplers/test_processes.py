"""Samplers across processes: they resume exactly, and share a study."""

import itertools
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
    """40 trials of each sampler, cut at two points into three processes."""
    folder = tmp_path_factory.mktemp("pieces")
    for total in (7, 23, 40):
        worker = processes.start(sampler_process.run, folder, total)
        assert processes.wait_for([worker]) == [0]
    return [(name, study.trials) for name, study in sampler_process.studies(folder)]


@pytest.mark.parametrize("name", sampler_process.SAMPLERS)
def test_a_study_cut_into_processes_is_the_same_study(pieces, name):
    whole = optuna.create_study(
        directions=["minimize", "minimize"], sampler=sampler_process.SAMPLERS[name]()
    )
    whole.optimize(sampler_process.objective, n_trials=40)
    wanted = [(t.params, t.state) for t in whole.trials]
    cut = [trials for of, trials in pieces if of == name]
    assert cut
    for trials in cut:
        assert [(t.params, t.state) for t in trials] == wanted


@pytest.mark.slow
@pytest.mark.parametrize("name", sampler_process.KILLED_SAMPLERS)
def test_a_worker_that_is_killed_three_times_leaves_no_trace_in_the_sequence(tmp_path, name):
    rng = random.Random(name)
    for _ in range(3):
        draws, drawn = multiprocessing.Pipe()
        with draws:
            worker = processes.start(sampler_process.work_on, tmp_path, 20, name, drawn)
            drawn.close()
            for _ in range(rng.randrange(12, 40) - 1):
                draws.recv_bytes()
                draws.send_bytes(b".")
            draws.recv_bytes()  # it waits somewhere among the parameters of a trial
            worker.kill()
            worker.join()
        assert worker.exitcode == -signal.SIGKILL
    storage = open_storage(f"sqlite:///{tmp_path}/killed.db", create=True)
    cut = sampler_process.work(storage, 20, name)
    whole = sampler_process.work(optuna.storages.InMemoryStorage(), 20, name)
    assert sum(is_lost(trial) for trial in cut.trials) == 3
    ended = [t for t in cut.trials if not is_lost(t)]
    places = [place(t, cut.trials) for t in ended]
    assert places == sorted(places)
    wanted = [(t.params, t.values, t.state) for t in whole.trials]
    assert [(t.params, t.values, t.state) for t in ended] == wanted
    assert TrialState.FAIL in {t.state for t in ended}, "some of them diverge"


def test_two_processes_share_a_study(tmp_path):
    list(sampler_process.studies(tmp_path))  # made before any process runs them
    workers = [processes.start(sampler_process.run, tmp_path, 16) for _ in range(2)]
    assert processes.wait_for(workers) == [0, 0]
    for _, study in sampler_process.studies(tmp_path):
        trials = study.trials
        assert len(trials) >= 16
        assert [t.number for t in trials] == list(range(len(trials)))
        assert [t.state for t in trials] == [sampler_process.end_of(t.params) for t in trials]
        # Two that run at the same moment may not see each other's parameters yet.
        assert not [
            (a.number, b.number)
            for a, b in itertools.combinations(trials, 2)
            if a.params == b.params and a.datetime_complete < b.datetime_start
        ]
