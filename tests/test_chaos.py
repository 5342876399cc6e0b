"""Many workers on one study, on every kind of storage, some of them killed."""

import chaos
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
def test_workers_that_are_killed_leave_exactly_the_trials_asked_for(url):
    """Of four workers one is killed each second, in the middle of whatever it does."""
    found = chaos.storm(url, trials=150, seconds=0.5, seed=0, limit=160)
    assert found["kills"] > 10
    assert found["lost"] > 5


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
