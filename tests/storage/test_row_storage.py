import datetime
import math
import time

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from ways import both_ways

from optnas.storage.row_storage import RowStorage

pytestmark = both_ways


def fill(study, offset=0.0):
    distributions = {
        "z": CategoricalDistribution(["a", "b", None, 3, True]),
        "a": FloatDistribution(1e-4, 1.0, log=True),
        "m": IntDistribution(8, 64, step=8),
    }
    for i, choice in enumerate(["a", "b", None, 3, True]):
        names = list(distributions)[: 1 + i % 3]
        params = {"z": choice, "a": 0.1 + offset, "m": 16}
        study.add_trial(
            create_trial(
                values=[float(i) + offset, -math.inf if i == 2 else math.inf if i == 3 else 0.5],
                params={name: params[name] for name in names},
                distributions={name: distributions[name] for name in names},
                user_attrs={
                    "architecture": f"net {i} ' \" , [ ü",
                    "curve": [{"step": 0}],
                    "n": None,
                },
                constraints={"c": float(i - 2)},
            )
        )
    for state in (TrialState.FAIL, TrialState.PRUNED):
        study.add_trial(create_trial(state=state, user_attrs={"failure": "nan"}))
    study.enqueue_trial({"z": "a"})
    trial = study.ask()
    trial.suggest_int("m", 8, 64, step=8)
    single = optuna.create_study(storage=study._storage, study_name=f"{study.study_name} single")
    trial = single.ask()
    for step, value in enumerate([0.5, math.nan, math.inf]):
        trial.report(value, step)
    single.tell(trial, 1.0)
    return [study.study_name, single.study_name]


@pytest.mark.parametrize("studies", [1, 2])
def test_trials_are_those_that_optuna_reads(studies):
    url = "sqlite:///s.db"
    names = []
    for i in range(studies):
        study = optuna.create_study(
            storage=url, study_name=f"s{i}", directions=["minimize", "maximize"]
        )
        names += fill(study, 0.125 * i)
    for name in names:
        theirs = optuna.load_study(study_name=name, storage=url).trials
        ours = optuna.load_study(study_name=name, storage=RowStorage(url)).trials
        assert list(map(plain, ours)) == list(map(plain, theirs))
        for a, b in zip(ours, theirs, strict=True):
            assert list(a.params) == list(b.params)


def plain(trial):
    """All that a trial holds; NaN, which isn't equal to itself, as text."""
    steps = {k: str(v) for k, v in trial.intermediate_values.items()}
    return vars(trial) | {"intermediate_values": steps}


def test_states_are_chosen():
    url = "sqlite:///s.db"
    fill(optuna.create_study(storage=url, study_name="s", directions=["minimize"] * 2))
    study = optuna.load_study(study_name="s", storage=RowStorage(url))
    for state in TrialState:
        found = study.get_trials(states=(state,))
        assert {t.state for t in found} <= {state}
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 5


def test_what_is_new_is_read_later():
    url = "sqlite:///s.db"
    writer = optuna.create_study(storage=url, study_name="s")
    reader = optuna.load_study(study_name="s", storage=RowStorage(url))
    assert reader.trials == []
    running = writer.ask()
    assert [t.state for t in reader.trials] == [TrialState.RUNNING]
    writer.tell(running, 2.0)
    writer.add_trial(create_trial(value=1.0, user_attrs={"x": 1}))
    assert [t.value for t in reader.trials] == [2.0, 1.0]
    assert reader.trials == writer.trials
    assert isinstance(reader.trials[0].datetime_start, datetime.datetime)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_times_are_those_of_the_place(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        url = "sqlite:///s.db"
        fill(optuna.create_study(storage=url, study_name="s", directions=["minimize"] * 2))
        theirs = optuna.load_study(study_name="s", storage=url).trials
        ours = optuna.load_study(study_name="s", storage=RowStorage(url)).trials
        assert list(map(plain, ours)) == list(map(plain, theirs))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_study_that_is_gone():
    url = "sqlite:///s.db"
    study = optuna.create_study(storage=url, study_name="s")
    reader = optuna.load_study(study_name="s", storage=RowStorage(url))
    optuna.delete_study(study_name="s", storage=url)
    with pytest.raises(KeyError):
        reader.get_trials()
    assert study.study_name == "s"


def test_attributes_are_left_out_on_request(way):
    url = "sqlite:///s.db"
    fill(whole := optuna.create_study(storage=url, study_name="s", directions=["minimize"] * 2))
    study = optuna.load_study(study_name="s", storage=RowStorage(url, without=("curve", "n%")))
    left = {"architecture"} if way == "rows" else {"architecture", "curve", "n"}
    assert set(study.trials[0].user_attrs) == left
    assert study.trials[0].params == whole.trials[0].params
