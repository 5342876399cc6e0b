"""What TensorBoard reads of the event files."""

import warnings

import optuna
import pytest
from trackers import bounded, make_search, study

import optnas

pytest.importorskip("tensorboard")
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData


@pytest.fixture(scope="module", autouse=True)
def accumulator():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder):
        found = EventAccumulator(str(folder))
        found.Reload()
        return found

    return read


def text_of(events, tag):
    return events.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()


def test_a_study_and_each_of_its_trials_have_a_folder(tmp_path, accumulator):
    tracker = optnas.callbacks.TensorBoard("runs", weights="link")
    bounded(tracker).run(progress=False)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("tracked-")
    trials = [t for t in study().trials if "surplus" not in t.user_attrs]
    assert [p.name for p in sorted(folder.glob("trial*"))] == [
        f"trial{t.number:05}" for t in trials
    ]
    members = {t.number for t in optnas.front(study())}
    for trial in trials:
        events = accumulator(folder / f"trial{trial.number:05}")
        curve = trial.user_attrs.get("curve", [])
        if curve:
            points = [(p.step, pytest.approx(p.value)) for p in events.Scalars("curve/loss")]
            assert points == [(row["step"], row["loss"]) for row in curve]
        params = pytest.approx(trial.user_attrs["params"])
        assert [p.value for p in events.Scalars("params")] == [params]
        assert text_of(events, "state") == trial.state.name.lower()
        assert "width" in text_of(events, "architecture")
        content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
        kept = HParamsPluginData.FromString(content).session_start_info.hparams
        assert kept["width"].number_value == trial.params["width"]
        assert ("weights/text_summary" in events.Tags()["tensors"]) == (trial.number in members)
        if trial.state.name == "PRUNED":
            assert (
                (folder / f"trial{trial.number:05}" / "ended.txt")
                .read_text()
                .startswith("pruned: params is")
            )
    events = accumulator(folder)
    assert events.Scalars("front")[-1].value == len(members)
    assert events.Scalars("hypervolume")[-1].value == pytest.approx(optnas.hypervolume(study()))
    table = text_of(events, "front")
    assert table.count("\n") == len(members) + 1
    picture = events.Images("front")[-1]
    assert (picture.width, picture.height) == (800, 500)


def test_what_a_killed_process_began_is_written_anew(tmp_path, accumulator):
    tracker = optnas.callbacks.TensorBoard("runs")
    made = make_search(tracker, trials=2).run(progress=False)
    (folder,) = (tmp_path / "runs").iterdir()
    (folder / "trial00001" / "ended.txt").unlink()  # as if it had been killed just before
    make_search(optnas.callbacks.TensorBoard("runs"), trials=3).run(progress=False)
    (same,) = (tmp_path / "runs").iterdir()
    assert same == folder
    events = accumulator(folder / "trial00001")
    assert [p.step for p in events.Scalars("curve/loss")] == [0, 1, 2]
    assert [p.value for p in events.Scalars("loss")] == [pytest.approx(made.trials[1].values[0])]


WORKERS = """
import optnas
from trackers import make_search

search = make_search(optnas.callbacks.TensorBoard("runs"), trials=6)
"""


def test_each_worker_writes_its_own_trials(tmp_path, monkeypatch, accumulator):
    import trackers

    monkeypatch.syspath_prepend(str(tmp_path.joinpath(trackers.__file__).parent))
    (tmp_path / "tracked.py").write_text(WORKERS)
    optnas.load_search("tracked.py").run(workers=2, progress=False)
    (folder,) = (tmp_path / "runs").iterdir()
    trials = [t for t in study().trials if "surplus" not in t.user_attrs]
    assert len({t.user_attrs["lease"]["pid"] for t in trials}) == 2
    for trial in trials:
        events = accumulator(folder / f"trial{trial.number:05}")
        assert [p.step for p in events.Scalars("params")] == [0]
        (file,) = (folder / f"trial{trial.number:05}").glob("events.*")
        assert f".{trial.user_attrs['lease']['pid']}." in file.name
    assert accumulator(folder).Scalars("front")[-1].value == len(optnas.front(study()))


def test_a_parameter_may_be_called_state(tmp_path, accumulator):
    tracker = optnas.callbacks.TensorBoard("runs")
    one = optuna.create_study()
    one.optimize(lambda trial: trial.suggest_int("state", 3, 3), n_trials=1, callbacks=[tracker])
    tracker.closed(one)
    (folder,) = (tmp_path / "runs").glob("*/trial*")
    content = accumulator(folder).PluginTagToContent("hparams")["_hparams_/session_start_info"]
    kept = HParamsPluginData.FromString(content).session_start_info.hparams
    assert kept["state"].number_value == 3
    assert kept["state of the trial"].string_value == "complete"
