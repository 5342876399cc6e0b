"""Many workers on one study, on every kind of storage, some of them killed."""

import random
import sqlite3
import time

import crew
import pytest
from crew import Job
from optuna.trial import TrialState
from postgres import database

KINDS = ["sqlite", "journal", "postgresql"]


@pytest.fixture
def study(url):
    """A study in a storage that this process has open."""
    study = crew.make_study(url)
    yield study
    crew.close(study)


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    if request.param != "postgresql":
        return f"{request.param}:///{tmp_path}/study.db"
    server = request.getfixturevalue("postgres_server")
    return database(server, f"t{abs(hash(request.node.nodeid))}")


@pytest.mark.slow
def test_workers_that_are_killed_leave_exactly_the_trials_asked_for(url, study, tmp_path):
    """Of four workers one is killed each second, in the middle of whatever it does."""
    rng = random.Random(0)
    job = Job(url, trials=150, seconds=0.5)
    workers = [crew.start(job) for _ in range(4)]
    kills, deadline = 0, time.monotonic() + 160
    try:
        while any(worker.poll() is None for worker in workers):
            assert time.monotonic() < deadline, "it hangs"
            time.sleep(rng.uniform(0.7, 1.3))
            victim = rng.randrange(4)
            if workers[victim].poll() is None:
                workers[victim].kill()
                workers[victim].wait()
                kills += 1
                workers[victim] = crew.start(job)
    finally:
        codes = crew.wait_for(workers)
    assert codes == [0] * 4
    assert kills > 10
    crew.checked(study, 150)
    if url.startswith("sqlite"):
        with sqlite3.connect(tmp_path / "study.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_no_queued_trial_is_taken_twice(url, study, tmp_path):
    for i in range(100):
        study.enqueue_trial({"depth": 2, "x0": i % 10, "x1": i // 10})
    workers = [crew.start(Job(url, 80, log=str(tmp_path / "begun"))) for _ in range(8)]
    assert crew.wait_for(workers) == [0] * 8
    begun = (tmp_path / "begun").read_text().split()
    assert len(begun) == len(set(begun))
    states = [t.state for t in study.get_trials(deepcopy=False)]
    assert states.count(TrialState.COMPLETE) == 80
    assert TrialState.RUNNING not in states


def test_workers_that_make_the_same_study_at_once_all_succeed(url):
    workers = [crew.start(Job(url, 12, make=True)) for _ in range(6)]
    assert crew.wait_for(workers) == [0] * 6
    study = crew.load_study(url)
    crew.checked(study, 12)
    crew.close(study)
