"""What W&B's own reader finds in its offline files; these tests need wandb."""

import json

import pytest
from trackers import make_search, study

import optnas

wandb = pytest.importorskip("wandb")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the package itself


@pytest.fixture(scope="module", autouse=True)
def _no_process_is_left():
    yield
    wandb.teardown()


def read(file):
    """The config, the history and the summary of a run."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    store, config, history, summary, code = DataStore(), {}, [], {}, None
    store.open_for_scan(str(file))
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            config |= {
                u.key or "/".join(u.nested_key): json.loads(u.value_json)
                for u in record.run.config.update
            }
            group = record.run.run_group, record.run.job_type
        elif kind == "history":
            history.append(
                {
                    i.key or "/".join(i.nested_key): json.loads(i.value_json)
                    for i in record.history.item
                }
            )
        elif kind == "summary":
            summary |= {
                i.key or "/".join(i.nested_key): json.loads(i.value_json)
                for i in record.summary.update
            }
        elif kind == "exit":
            code = record.exit.exit_code
    return config, history, summary, group, code


def test_a_trial_is_a_run_in_the_group_of_its_study(tmp_path):
    tracker = optnas.callbacks.WandB(mode="offline", folder=tmp_path)
    make_search(tracker, trials=2, constraints={"params": 9}).run(progress=False)
    files = {f.stem.removeprefix("run-"): f for f in tmp_path.glob("wandb/offline-run-*/*.wandb")}
    trials = study().trials
    assert len(files) == len(trials) + 1
    (own,) = [name for name in files if "-" not in name]
    for trial in trials:
        config, history, summary, group, code = read(files[f"{own}-{trial.number}"])
        assert config.items() >= trial.params.items()
        assert group == (f"tracked-{own}", "trial")
        assert code == 0
        assert summary["state"] == trial.state.name.lower()
        assert summary["params"] == trial.user_attrs["params"]
        points = [(h["epoch"], h["curve/loss"]) for h in history if "curve/loss" in h]
        curve = trial.user_attrs.get("curve", [])
        assert points == [(row["step"], row["loss"]) for row in curve]
    _, history, _, group, _ = read(files[own])
    assert group == (f"tracked-{own}", "study")
    assert history[-1]["front_table"]["nrows"] == len(optnas.front(study()))
    assert history[-1]["front_figure"]["_type"] == "plotly-file"
    make_search(
        optnas.callbacks.WandB(mode="offline", folder=tmp_path), trials=3
    )  # its trials are known by their marks
    marks = next(tmp_path.glob("wandb/optnas-*"))
    assert {int(mark.name) for mark in marks.iterdir()} == {t.number for t in trials}


def test_an_unknown_mode_is_refused():
    with pytest.raises(optnas.InputError, match="must be one of online, offline, disabled, got"):
        optnas.callbacks.WandB(mode="of")
