"""What every tracker is told, whichever it is."""

import os

import optuna
import pytest
import trackers
from optuna.trial import TrialState
from trackers import Memory, Remembering, bounded, make_search

import optnas
from optnas.errors import InputError
from optnas.study import leases
from optnas.study.attributes import TRACKED


def check_whole(memory, study):
    """Each trial is there once, with its whole curve and its end."""
    ended = {t.number: t for t in study.trials if "surplus" not in t.user_attrs}
    assert set(memory.trials) == set(ended)
    for number, trial in ended.items():
        facts = memory.trials[number][-1]
        assert dict(facts.params) == trial.params
        steps = [row["step"] for row in trial.user_attrs.get("curve", [])]
        assert [step for step, _ in memory.points[number]] == steps
        if trial.state == TrialState.COMPLETE:
            assert facts.values["loss"] == trial.values[0]
            assert facts.values["params"] == trial.user_attrs["params"]
            assert facts.texts["architecture"] == trial.user_attrs["architecture"]


def test_a_search_is_written_with_curves_values_states_and_front():
    tracker = Remembering(weights="link")
    study = bounded(tracker).run(progress=False)
    memory = tracker.memory
    check_whole(memory, study)
    assert len(memory.studies) == 1
    states = {n: facts[-1].state for n, facts in memory.trials.items()}
    assert set(states.values()) == {"complete", "pruned"}  # both of them are in this study
    for n, state in states.items():
        reason = memory.trials[n][-1].texts.get("reason", "")
        assert reason == (study.trials[n].user_attrs["pruned"] if state == "pruned" else "")
    front = memory.fronts[-1]
    assert [row["trial"] for row in front.rows] == [
        t.number for t in sorted(optnas.front(study), key=lambda t: t.values[0])
    ]
    assert front.data is not None
    assert memory.weights == {t.number: ("weights.safetensors", True) for t in optnas.front(study)}
    assert memory.states == ["finished"]


def test_curves_grow_while_a_trial_runs():
    tracker, seen = Remembering(), []

    def look(trial, step, scores):  # called after the tracker
        tracker._writer.finish()
        seen.append([s for s, _ in tracker.memory.points[0]])

    make_search(tracker, look, trials=1).run(progress=False)
    assert seen == [[0], [0, 1], [0, 1, 2]]
    began, ended = tracker.memory.trials[0]
    assert (began.state, ended.state) == ("running", "complete")
    assert began.values["params"] == ended.values["params"]  # costs are there from the begin


def test_resuming_and_other_listeners_make_no_second_study():
    memory = Memory()
    make_search(Remembering(memory)).run(progress=False)
    make_search(trials=6).run(progress=False)  # without a tracker, which the next run makes up for
    study = make_search(Remembering(memory), trials=7).run(progress=False)
    check_whole(memory, study)
    assert len(memory.studies) == 1
    assert all(len(facts) == 2 for facts in memory.trials.values())  # a begin and an end


def test_a_lost_trial_and_its_retry_are_two_runs():
    memory = Memory()

    def fit(model, recipe, report):
        report(0, {"loss": 1.0})
        if trackers.call() == 2:
            raise KeyboardInterrupt
        return {"loss": 1.0}

    with pytest.raises(KeyboardInterrupt):
        make_search(Remembering(memory), fit=fit).run(progress=False)
    assert memory.trials[1][-1].texts["reason"] == "its process was interrupted"
    assert memory.trials[1][-1].state == "lost"
    assert memory.states == ["killed"]
    study = make_search(Remembering(memory), fit=fit).run(progress=False)
    check_whole(memory, study)
    assert memory.trials[2][-1].texts["retry_of"] == "1"
    assert memory.trials[2][-1].state == "complete"


def test_the_next_run_writes_what_a_killed_process_could_not():
    memory = Memory()
    study = make_search(Remembering(memory)).open()
    parent = leases.lease() | {"pid": os.getppid(), "started": leases._started(os.getppid())}
    gone = parent | {"started": 1}
    values = [1.0, 5]
    for held, ended in ((gone, None), (gone, values), (parent, values)):
        study.enqueue_trial({"width": 1, "deep": False})
        trial = study.ask()
        trial.set_user_attr("lease", held)
        if ended:
            study.tell(trial, ended)
    make_search(Remembering(memory), trials=3).run(progress=False)
    assert memory.trials[0][-1].texts["reason"] == "its process was killed"
    assert memory.trials[1][-1].state == "complete"
    assert 2 not in memory.trials  # a living process writes it
    assert memory.trials[3][-1].texts["retry_of"] == "0"


def test_plain_optuna_is_written_too():
    data = optnas.diabetes()
    tracker = Remembering()
    objective = optnas.Objective(
        optnas.MLPSpace(data.input_shape, data.outputs, depth=(1, 1)),
        optnas.TrainingEvaluator(data, epochs=2),
        ("val_loss", "params"),
        listeners=[tracker.epoch],
    )
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=2, callbacks=[tracker])
    tracker.closed(study)
    memory = tracker.memory
    assert [facts[0].state for facts in memory.trials.values()] == ["running", "running"]
    assert {n: len(points) for n, points in memory.points.items()} == {0: 2, 1: 2}
    assert memory.fronts[-1].finished == 2
    assert memory.states == ["finished"]


def test_an_objective_without_optnas_is_written_too():
    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        if x > 0.7:
            raise optuna.TrialPruned
        return x

    tracker = Remembering()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=5, callbacks=[tracker])
    tracker.closed(study)
    states = [tracker.memory.trials[t.number][-1].state for t in study.trials]
    assert states == [t.state.name.lower() for t in study.trials]
    assert {"complete", "pruned"} == set(states)
    assert tracker.memory.fronts[-1].data is None


@pytest.mark.parametrize("member", ["connect", "begin", "write_points", "end", "write_front"])
def test_a_tracker_that_fails_is_one_warning_and_changes_nothing(member, monkeypatch, caplog):
    def fail(*_, **__):
        raise OSError("the disk is full")

    expected = make_search(storage=optuna.storages.InMemoryStorage()).run(progress=False)
    tracker = Remembering()
    monkeypatch.setattr(tracker, member, fail)
    study = make_search(tracker, storage=optuna.storages.InMemoryStorage()).run(progress=False)
    assert [t.values for t in study.trials] == [t.values for t in expected.trials]
    said = [r.getMessage() for r in caplog.records if "the disk is full" in r.getMessage()]
    assert said == ["Remembering: OSError: the disk is full; the study continues"]


def test_a_tracker_that_comes_back_gets_everything(monkeypatch):
    tracker, away = Remembering(), [OSError("away"), OSError("away")]
    monkeypatch.setattr("optnas.callbacks.writer.PAUSE", 0.0)

    def connect(study, id, *, joined):
        if away:
            raise away.pop()

    monkeypatch.setattr(tracker, "connect", connect)
    check_whole(tracker.memory, make_search(tracker).run(progress=False))


def test_a_study_keeps_a_name_for_trackers_and_a_copy_gets_another(tmp_path):
    memory = Memory()
    study = make_search(Remembering(memory), trials=1).run(progress=False)
    assert study.user_attrs[TRACKED]["id"] == memory.studies[0]
    assert "listener" not in str(study.user_attrs["optnas"]).lower()
    (tmp_path / "copy").mkdir()
    copied = tmp_path / "copy" / "tracked.db"
    copied.write_bytes((tmp_path / "tracked.db").read_bytes())
    make_search(Remembering(memory), trials=2, storage=copied).run(progress=False)
    assert len(memory.studies) == 2


def test_functions_among_the_listeners_hear_every_epoch():
    heard = []
    search = make_search(lambda trial, step, scores: heard.append((trial.number, step)), trials=2)
    search.run(progress=False)
    assert heard == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_wrong_listeners_are_refused():
    with pytest.raises(InputError, match=r"listeners must be a list, such as \[optnas"):
        make_search(**{"trials": 1}, listeners=Remembering())
    with pytest.raises(InputError, match=r"Remembering is a class: give an object, Remembering\("):
        make_search(Remembering)
    with pytest.raises(InputError, match=r"must be a tracker of optnas.callbacks or a function"):
        make_search("mlflow")
    with pytest.raises(InputError, match="weights of Remembering must be 'link', or '' for none"):
        Remembering(weights="all")


@pytest.mark.parametrize("name", ["TensorBoard", "MLflow", "WandB"])
def test_a_package_that_is_missing_is_named_with_the_way_to_get_it(name, monkeypatch):
    monkeypatch.setattr("optnas.callbacks.checks.find_spec", lambda _: None)
    with pytest.raises(InputError, match=rf"{name} needs the package .* pip install 'optnas\["):
        getattr(optnas.callbacks, name)()
