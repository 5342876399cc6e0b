"""Many workers on one study, on every kind of storage, some of them killed."""

from functools import partial

import chaos
import optuna
import pytest
from common import light_workers
from common.light_workers import Job
from common.postgres import database
from common.processes import wait_for
from hypothesis import given, settings, strategies as st
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from optnas.runs.loop import run_trials
from optnas.samplers import RegularizedEvolutionSampler
from optnas.study.attributes import LEASE, is_without_result
from optnas.study.leases import CLAIM, lease_of

KINDS = ["sqlite", "journal", "postgresql"]


@pytest.fixture
def study(url):
    """A study in a storage that this process has open."""
    study = light_workers.make_study(url)
    yield study
    light_workers.close(study)


@pytest.fixture(params=KINDS)
def new_url(request, tmp_path):
    """Gives the URL of an empty storage, another one for each number."""

    def new(number):
        if request.param != "postgresql":
            return f"{request.param}:///{tmp_path}/study{number}.db"
        server = request.getfixturevalue("postgres_server")
        return database(server, f"t{abs(hash(request.node.nodeid))}n{number}")

    return new


@pytest.fixture
def url(new_url):
    return new_url(0)


@pytest.mark.slow
def test_workers_that_are_killed_leave_exactly_the_trials_asked_for(new_url):
    """Of four workers one is killed after every third trial, in the middle of whatever it does.

    There is another storm if few were killed, or most of them before they had begun a trial: on a
    busy machine the trials are over before anybody looks, or workers take longer to start.
    """
    kills = lost = storms = 0
    while (kills <= 4 or lost <= 2) and storms < 6:
        found = chaos.storm(
            new_url(storms),
            trials=30,
            seconds=0.1,
            seed=storms,
            limit=600,
            pause=0.05,
            between=3,
        )
        kills, lost, storms = kills + found["kills"], lost + found["lost"], storms + 1
    assert kills > 4
    assert lost > 2


def test_no_queued_trial_is_taken_twice(url, study, tmp_path):
    for i in range(50):
        study.enqueue_trial({"depth": 2, "x0": i % 10, "x1": i // 10})
    workers = [light_workers.start(Job(url, 40, log=str(tmp_path / "begun"))) for _ in range(6)]
    assert wait_for(workers) == [0] * 6
    begun = (tmp_path / "begun").read_text().split()
    assert len(begun) == len(set(begun))
    states = [t.state for t in study.get_trials(deepcopy=False)]
    assert states.count(TrialState.COMPLETE) == 40
    assert TrialState.RUNNING not in states


def test_workers_that_make_the_same_study_at_once_all_succeed(url):
    workers = [light_workers.start(Job(url, 6, make=True)) for _ in range(6)]
    assert wait_for(workers) == [0] * 6
    study = light_workers.load_study(url)
    light_workers.checked(study, 6)
    light_workers.close(study)


class Killed(BaseException):
    """As kill -9: nothing that would tidy up may write any more."""


def dying(write):
    def method(self, *args, **kwargs):
        if self.writes_left == 0:
            raise Killed
        self.writes_left -= 1
        return write(self, *args, **kwargs)

    return method


WRITES = [
    "create_new_trial",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "set_study_user_attr",
    "set_study_system_attr",
]
MortalStorage = type(
    "MortalStorage",
    (InMemoryStorage,),
    {"writes_left": -1} | {name: dying(getattr(InMemoryStorage, name)) for name in WRITES},
)


def killed_after(study, writes, trials):
    """Runs the study in a process that is killed after so many writes; whether it was."""
    storage = study._storage
    storage.writes_left = writes
    try:
        run_trials(study, partial(light_workers.objective, Job("", trials)), trials=trials)
    except Killed:
        storage.writes_left = -1
        earlier = {"boot": "an earlier start of the machine"}
        for trial in study.get_trials(
            deepcopy=False, states=(TrialState.WAITING, TrialState.RUNNING)
        ):
            if held := lease_of(trial):
                storage.set_trial_user_attr(trial._trial_id, LEASE, held | earlier)
            for key, held in trial.system_attrs.items():
                if key.startswith(CLAIM):
                    storage.set_trial_system_attr(trial._trial_id, key, held | earlier)
        return True
    return False


@given(st.lists(st.integers(0, 45), max_size=12), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_process_killed_after_any_writes_leaves_exactly_the_trials_asked_for(kills, seed):
    study = optuna.create_study(
        storage=MortalStorage(),
        directions=["minimize", "minimize"],
        sampler=RegularizedEvolutionSampler(seed=seed),
    )
    for writes in kills:
        killed_after(study, writes, 8)
    assert not killed_after(study, -1, 8)
    light_workers.checked(study, 8)


def test_a_process_killed_once_goes_on_as_if_it_had_not_been():
    """After each of the writes of a run of eight trials, one by one."""

    def run(writes):
        study = optuna.create_study(
            storage=MortalStorage(),
            directions=["minimize", "minimize"],
            sampler=RegularizedEvolutionSampler(seed=14, n_startup_trials=4),
        )
        killed = killed_after(study, writes, 8)
        if killed:
            assert not killed_after(study, -1, 8)
        trials = light_workers.checked(study, 8)
        return killed, [(t.params, t.values, t.state) for t in trials if not is_without_result(t)]

    _, whole = run(-1)
    assert {state.name for _, _, state in whole} == {"COMPLETE", "PRUNED", "FAIL"}
    writes = 0
    while True:
        killed, trials = run(writes)
        assert str(trials) == str(whole), writes  # NaN isn't equal to itself
        if not killed:
            break
        writes += 1
    assert writes > 70
