"""What MLflow reads of its SQLite store; these tests need mlflow-skinny and alembic."""

import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
import trackers
from trackers import bounded, make_search, study

import optnas
from optnas.callbacks.runs import Connection

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the package itself


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An empty store, which takes seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(template, tmp_path):
    shutil.copyfile(template, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def runs(store):
    """The study's runs, and the trials' by number."""
    client = mlflow.MlflowClient(store)
    found = client.search_runs([client.get_experiment_by_name("optnas").experiment_id])
    trials = {int(r.data.tags["optnas.trial"]): r for r in found if "optnas.trial" in r.data.tags}
    studies = [run for run in found if "optnas.trial" not in run.data.tags]
    assert len(trials) + len(studies) == len(found)  # no trial is there twice
    return client, studies, trials


def test_a_study_is_a_run_and_each_trial_a_child(store):
    tracker = optnas.callbacks.MLflow(store, weights="artifact")
    bounded(tracker).run(progress=False)
    client, (parent,), children = runs(store)
    assert parent.info.status == "FINISHED"
    members = {t.number for t in optnas.front(study())}
    for trial in study().trials:
        run = children[trial.number]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["optnas.state"] == trial.state.name.lower()
        assert run.data.params == {k: str(v) for k, v in trial.params.items()}
        assert run.data.metrics["params"] == trial.user_attrs["params"]
        if trial.state.name == "COMPLETE":
            assert run.data.metrics["loss"] == trial.values[0]
            points = client.get_metric_history(run.info.run_id, "curve/loss")
            found = sorted((p.step, p.value) for p in points)
            curve = trial.user_attrs.get("curve", [])  # none, where values were reused
            assert found == [(row["step"], row["loss"]) for row in curve]
        else:
            assert run.data.tags["optnas.reason"] == trial.user_attrs["pruned"]
        files = [file.path for file in client.list_artifacts(run.info.run_id)]
        assert files == (["weights.safetensors"] if trial.number in members else [])
    files = [file.path for file in client.list_artifacts(parent.info.run_id)]
    assert files == ["front.csv", "front.html"]
    front = Path(client.download_artifacts(parent.info.run_id, "front.csv"))
    lines = front.read_text().splitlines()
    assert len(lines) == 1 + len(members)
    assert lines[0].startswith("trial,place,")


def test_failed_and_lost_trials_have_their_status_and_resuming_makes_no_second_run(store):
    def fit(model, recipe, report):
        report(0, {"loss": 1.0})
        number = trackers.call()
        if number == 2:
            raise KeyboardInterrupt
        if number == 3:
            raise optnas.CandidateError("this network is too large")
        return {"loss": 1.0}

    with pytest.raises(KeyboardInterrupt):
        make_search(optnas.callbacks.MLflow(store), fit=fit).run(progress=False)
    _, (parent,), children = runs(store)
    assert (parent.info.status, children[1].info.status) == ("KILLED", "KILLED")
    client = mlflow.MlflowClient(store)
    client.update_run(children[0].info.run_id, status="RUNNING")  # as after kill -9
    make_search(optnas.callbacks.MLflow(store), fit=fit).run(progress=False)
    _, (same,), children = runs(store)
    assert (same.info.run_id, same.info.status) == (parent.info.run_id, "FINISHED")
    assert children[0].info.status == "FINISHED"
    points = client.get_metric_history(children[0].info.run_id, "curve/loss")
    assert [p.step for p in points] == [0]  # not twice
    assert children[2].data.tags["optnas.retry_of"] == "1"
    (failed,) = [run for run in children.values() if run.info.status == "FAILED"]
    assert "this network is too large" in failed.data.tags["optnas.reason"]


def _connect(store, barrier):
    tracker = optnas.callbacks.MLflow(store)
    barrier.wait()
    tracker._tracked_runs.call(Connection("tracked", "0123456789ab", joined=False), int)


def test_processes_that_begin_at_once_share_one_run(store):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    each = [context.Process(target=_connect, args=(store, barrier)) for _ in range(3)]
    for process in each:
        process.start()
    for process in each:
        process.join()
    assert [process.exitcode for process in each] == [0, 0, 0]
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("optnas").experiment_id
    assert len(client.search_runs([experiment])) == 1


def test_a_server_that_is_away_costs_a_warning(caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = optnas.callbacks.MLflow("http://user:hidden@127.0.0.1:9")
    done = make_search(tracker, trials=2).run(progress=False)
    assert [t.state.name for t in done.trials] == ["COMPLETE"] * 2
    said = [r.getMessage() for r in caplog.records if "the study continues" in r.getMessage()]
    assert len(said) == 1
    assert "hidden" not in said[0] + repr(tracker)
