"""What Optuna's own storage does with a database, ours does: same rows, same errors."""

import math
import threading

import optuna
import pytest
import sqlalchemy
from common.postgres import database
from hypothesis import given, settings, strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from ways import both_ways

import optnas.storage.rows
from optnas.storage.open import close_storage, open_storage

pytestmark = both_ways
DISTRIBUTIONS = [
    FloatDistribution(0.0, 1.0),
    FloatDistribution(0.0, 2.0),
    FloatDistribution(1e-3, 1.0, log=True),
    IntDistribution(0, 3),
    CategoricalDistribution(["x", "y", None]),
    CategoricalDistribution(["x", "z"]),
]
TEMPLATE = create_trial(
    values=[math.inf, -1.0],
    params={"p": 0.25, "q": "y"},
    distributions={"p": DISTRIBUTIONS[0], "q": DISTRIBUTIONS[4]},
    user_attrs={"k": [1, {"ü": None}], "'": '"'},
    constraints={"c": 0.5},
    intermediate_values={0: math.nan, 3: 1.0},
)
WAITING = create_trial(state=TrialState.WAITING, user_attrs={"k": 1})

trial = st.integers(0, 3)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("aü'\":%\\ ;", max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
attribute = st.tuples(trial, st.sampled_from(["k", "l", "ü:k"]), json | st.just(object()))
values = st.none() | st.lists(st.sampled_from([0.0, -1.5, math.inf, -math.inf]), max_size=2)
OPERATION = st.one_of(
    st.tuples(st.just("create_new_trial"), st.sampled_from([None, TEMPLATE, WAITING])),
    st.tuples(st.just("set_trial_user_attr"), attribute),
    st.tuples(st.just("set_trial_system_attr"), attribute),
    st.tuples(
        st.just("set_trial_param"),
        st.tuples(
            trial,
            st.sampled_from(["p", "q", "r"]),
            st.sampled_from([0.0, 1.0]),
            st.sampled_from(DISTRIBUTIONS),
        ),
    ),
    st.tuples(
        st.just("set_trial_state_values"), st.tuples(trial, st.sampled_from(TrialState), values)
    ),
    st.tuples(st.just("set_trial_intermediate_value"), st.tuples(trial, st.just(0), st.just(2.0))),
    st.tuples(st.just("get_trial"), st.tuples(trial)),
)


@pytest.fixture
def examples(request, way):
    """How many; the public way is Optuna's own code, and a server takes longer than a file."""
    if way == "public":
        return 10
    return 40 if request.node.callspec.params["storages"] == "sqlite" else 20


@pytest.fixture(params=["sqlite", "postgresql"])
def storages(request, way):
    """Optuna's storage and ours, each in a database of its own, and how to open ours as Optuna."""
    if request.param == "sqlite":
        urls = "sqlite:///theirs.db", "sqlite:///ours.db"
        plain = urls
    else:
        server = request.getfixturevalue("postgres_server")
        urls = [database(server, f"r{abs(hash(request.node.nodeid))}{i}") for i in range(2)]
        plain = [url.replace("postgresql", "postgresql+psycopg") for url in urls]
    opened = open_storage(urls[1], create=True)
    theirs, reader = RDBStorage(plain[0]), RDBStorage(plain[1])
    yield theirs, opened._backend, reader
    close_storage(opened)
    for storage in (theirs, reader):
        storage.remove_session()
        storage.engine.dispose()


class Run:
    """A study in a storage, and what became of each operation."""

    def __init__(self, storage):
        self.storage = storage
        self.study = storage.create_new_study([StudyDirection.MINIMIZE] * 2)
        self.ids = []

    def do(self, name, what):
        try:
            if name == "create_new_trial":
                self.ids.append(self.storage.create_new_trial(self.study, what))
                return None
            number, *rest = what
            found = getattr(self.storage, name)(self.trial_id(number), *rest)
        except (KeyError, ValueError, TypeError, RuntimeError, StorageInternalError) as error:
            return type(error), str(error)
        return told(found) if name == "get_trial" else found

    def trial_id(self, number):
        return self.ids[number] if number < len(self.ids) else 10**9


def told(trial):
    """All that a trial holds but for its id and times; NaN, which isn't equal to itself, as text.

    Parameters are in order, too.
    """
    facts = {k: v for k, v in vars(trial).items() if "_trial_id" not in k and "datetime" not in k}
    steps = {k: str(v) for k, v in trial.intermediate_values.items()}
    times = trial.datetime_start is None, trial.datetime_complete is None
    return facts | {"intermediate_values": steps, "order": list(trial.params), "times": times}


def whole(trials):
    """The same with ids and times."""
    return [(told(t), t._trial_id, t.datetime_start, t.datetime_complete) for t in trials]


def test_the_same_operations_come_to_the_same(storages, examples):
    theirs, ours, reader = storages

    @settings(max_examples=examples)
    @given(st.lists(OPERATION, min_size=4, max_size=16))
    def play(operations):
        runs = Run(theirs), Run(ours)
        for name, what in [("create_new_trial", None), *operations]:
            expected, found = (run.do(name, what) for run in runs)
            assert found == expected
        expected, found = (run.storage.get_all_trials(run.study) for run in runs)
        assert list(map(told, found)) == list(map(told, expected))
        assert whole(found) == whole(reader.get_all_trials(runs[1].study))

    play()


@pytest.mark.parametrize("few", [500, 2])
def test_what_is_new_is_what_optuna_reads(storages, examples, few, monkeypatch):
    _, ours, reader = storages
    monkeypatch.setattr(optnas.storage.rows, "FEW", few)
    first, second = Run(ours), Run(ours)
    for template in (None, TEMPLATE, WAITING, TEMPLATE, None, WAITING):
        for run in (first, second):
            run.do("create_new_trial", template)
    for run in (first, second):
        run.do("set_trial_param", (4, "p", 0.5, DISTRIBUTIONS[0]))
        run.do("set_trial_user_attr", (4, "k", "v"))
        run.do("set_trial_state_values", (0, TrialState.COMPLETE, [1.0, 2.0]))
    every = sorted(first.ids + second.ids)

    @settings(max_examples=examples)
    @given(
        st.sets(st.sampled_from(every)),
        st.sampled_from([-1, *every]),
        st.none() | st.sets(st.sampled_from(TrialState)).map(tuple),
    )
    def look(included, after, states):
        asked = states, included, after
        for run in (first, second):
            expected = reader._get_trials(run.study, *asked)
            assert whole(ours._get_trials(run.study, *asked)) == whole(expected)

    look()
    for after in (-1, every[-1]):
        with pytest.raises(KeyError, match="does not exist"):
            ours._get_trials(10**9, None, set(), after)


def test_a_value_is_in_the_database_when_the_call_returns(storages):
    _, ours, reader = storages
    run = Run(ours)
    run.do("create_new_trial", None)
    (trial_id,) = run.ids
    ours.set_trial_param(trial_id, "p", 0.5, DISTRIBUTIONS[0])
    assert reader.get_trial(trial_id).params == {"p": 0.5}
    ours.set_trial_param(trial_id, "p", 0.75, DISTRIBUTIONS[0])  # the first one stays
    assert reader.get_trial(trial_id).params == {"p": 0.5}
    for value in (1, 2):
        ours.set_trial_user_attr(trial_id, "k", value)
        assert reader.get_trial(trial_id).user_attrs == {"k": value}
    ours.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0, math.inf])
    assert reader.get_trial(trial_id).values == [1.0, math.inf]
    with pytest.raises(UpdateFinishedTrialError):
        ours.set_trial_user_attr(trial_id, "k", 3)


def test_threads_that_write_at_once(storages):
    _, ours, reader = storages
    run = Run(ours)
    run.do("create_new_trial", None)
    (trial_id,) = run.ids

    def write(name):
        for i in range(20):
            ours.set_trial_user_attr(trial_id, "all", [name, i])
            ours.set_trial_user_attr(trial_id, name, i)
        ours.remove_session()

    threads = [threading.Thread(target=write, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = reader.get_trial(trial_id).user_attrs
    assert {k: v for k, v in found.items() if k != "all"} == {f"t{i}": 19 for i in range(4)}


def test_a_fault_of_the_database_is_told_as_optuna_does(storages):
    _, ours, _ = storages
    run = Run(ours)
    run.do("create_new_trial", None)
    with ours.engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE trial_user_attributes"))
    for call in (
        lambda: ours.set_trial_user_attr(run.ids[0], "k", 1),
        lambda: ours.get_trial(run.ids[0]),
        lambda: ours.get_all_trials(run.study),
    ):
        with pytest.raises(optuna.exceptions.StorageInternalError):
            call()
