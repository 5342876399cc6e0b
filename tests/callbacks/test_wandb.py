"""What W&B's offline files hold, read with its own messages; these tests need wandb."""

import json
import struct

import pytest
from trackers import bounded, study

import optnas

wandb = pytest.importorskip("wandb")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the package itself


@pytest.fixture(scope="module", autouse=True)
def _no_process_is_left():
    yield
    wandb.teardown()


BLOCK, HEADER, LAST = 32768, struct.Struct("<IHB"), 4


def records(file):
    """The records of a file in LevelDB's log format, after W&B's own seven bytes."""
    data, at, record = file.read_bytes(), 7, b""
    while at + HEADER.size <= len(data):
        if BLOCK - at % BLOCK < HEADER.size:  # the rest of a block is padding
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        at += HEADER.size + length
        record += data[at - length : at]
        if kind in (1, LAST):
            yield record
            record = b""


def values(items):
    return {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}


def read(file):
    """The config, the history, the summary, the group and the exit code of a run."""
    from wandb.proto.wandb_internal_pb2 import Record

    config, history, summary, group, code = {}, [], {}, None, None
    for data in records(file):
        record = Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            config |= values(record.run.config.update)
            group = record.run.run_group, record.run.job_type
        elif kind == "history":
            history.append(values(record.history.item))
        elif kind == "summary":
            summary |= values(record.summary.update)
        elif kind == "exit":
            code = record.exit.exit_code
    return config, history, summary, group, code


def test_a_trial_is_a_run_in_the_group_of_its_study(tmp_path):
    tracker = optnas.callbacks.WandB(mode="offline", folder=tmp_path)
    bounded(tracker, trials=2).run(progress=False)
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
    assert history[-1]["front_table/nrows"] == len(optnas.front(study()))
    assert history[-1]["front_figure/_type"] == "plotly-file"
    marks = next(tmp_path.glob("wandb/optnas-*"))
    assert {int(mark.name) for mark in marks.iterdir()} == {t.number for t in trials}


def test_an_unknown_mode_is_refused():
    with pytest.raises(optnas.InputError, match="must be one of online, offline, disabled, got"):
        optnas.callbacks.WandB(mode="of")
