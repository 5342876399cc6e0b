"""A front is measured again on another device: a script of ours, ONNX Runtime, a function."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

import optnas
from optnas.errors import InputError, Interrupted, NetworkError
from optnas.finished import elsewhere
from optnas.metrics import FunctionMetric, command
from optnas.pareto.elsewhere import compare_device
from optnas.pareto.snapshot import Snapshot
from optnas.storage.open import close_storage
from optnas.study.elsewhere import OtherDevice, There, other_devices, read_device

STUDY = """
import optuna, torch
import optnas

class InTurn(optuna.samplers.RandomSampler):
    def sample_independent(self, study, trial, name, distribution):
        return 1 + trial.number

def build(trial):
    width = trial.suggest_int("width", 1, 40)
    net = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Linear(width, 1))
    net.width = width
    return net

def score(model, recipe, report):
    # Odd ones beyond 20 are dominated by their neighbour.
    worse = 1.2 if model.width > 20 and model.width % 2 else 0.0
    return {"loss": 50.0 - model.width + worse}

search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(score, {"loss": "minimize"}),
    objectives=("loss", "latency_ms"),
    metrics=[optnas.FunctionMetric("latency_ms", lambda c: 0.1 * c.model.width)],
    sampler=InTurn(),
    trials=30,
    seed=0,
)
"""
FRONT = [*range(1, 21), *range(22, 31, 2)]
"""The widths of the front's networks."""
BOARD = """
width=$(cat "$1")
echo measured >> count
if [ -e fails ] && [ "$width" = "$(cat fails)" ]; then echo "no memory left" >&2; exit 3; fi
echo "on the board"
echo "{\\"latency_ms\\": $((width * 7 % 31))}"
"""


def there(width):
    """What the board of `BOARD` takes: another order of the widths below 31."""
    return width * 7 % 31


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    (folder / "board.py").write_text(STUDY)
    study = optnas.load_search(str(folder / "board.py")).run(progress=False)
    close_storage(study._storage)
    return folder


@pytest.fixture
def board(made, tmp_path, monkeypatch):
    """A folder with the study `board`, and a program that needs no real ONNX file."""
    for path in made.iterdir():
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, tmp_path / path.name)
    Path("board.sh").write_text(BOARD)

    def write(model, inputs, path, **settings):
        path.write_text(str(model[0].out_features))

    monkeypatch.setattr(command, "write_onnx", write)
    return tmp_path


def opened():
    search = optnas.load_search("board.py")
    return search.run(progress=False), search


def database():
    """The bytes of the database; there is no file with what isn't in it yet."""
    assert not any(path.stat().st_size for path in Path().glob("board.db-wal"))
    return hashlib.sha256(Path("board.db").read_bytes()).hexdigest()


def calls():
    return len(Path("count").read_text().splitlines()) if Path("count").exists() else 0


ON_BOARD = ("measure", "board.py", "--front", "--command", "sh board.sh {onnx}", "--label", "board")


def test_a_front_is_measured_by_a_program_and_the_study_stays_as_it_is(board, optnas):
    before = database()
    code, out, err = optnas(*ON_BOARD)
    assert code == 0, err
    assert database() == before
    assert f"[{len(FRONT)}/{len(FRONT)}]" in err
    assert calls() == len(FRONT)
    tau = kendalltau(FRONT, [there(width) for width in FRONT]).statistic
    assert f"(Kendall's τ of both orders: {tau:.2f})" in out
    code, again, err = optnas(*ON_BOARD)
    assert (code, again) == (0, out)
    assert f"{len(FRONT)} of {len(FRONT)} networks measured before, in board_elsewhere/" in err
    assert calls() == len(FRONT)
    assert optnas("report", "board.db")[0] == 0
    page = Path("board_report.html").read_text()
    assert '"elsewhere":[{"label":"board","text":"' in page
    assert 'id="figure-elsewhere-0"' in page
    assert database() == before


def test_ranks_and_the_front_there_are_those_of_the_values(board):
    study, search = opened()
    found = optnas.measure_elsewhere(
        study, search, optnas.Latency.command("sh board.sh {onnx}"), progress=False
    )
    assert found.names == ["loss", "latency_ms on sh board.sh {onnx}"]
    width = {one.trial: study.trials[one.trial].params["width"] for one in found.measured}
    assert sorted(width.values()) == FRONT
    assert [one.there for one in found.measured] == sorted(map(there, FRONT))
    for one in found.measured:
        own = width[one.trial]
        assert one.rank_here == 1 + FRONT.index(own)
        assert one.rank_there == 1 + sum(there(other) < there(own) for other in FRONT)
        # Wider ones have less loss, so those that are faster there dominate it.
        above = [other for other in FRONT if other > own and there(other) < there(own)]
        assert one.front_there == (not above)
        assert one.front_here
        assert (one.by is None) == (not above)
        assert not above or width[one.by] in above
        swapped = [o for o in FRONT if (o - own) * (there(o) - there(own)) < 0]
        assert one.swapped == len(swapped)
    assert found.device.how == {"command": "sh board.sh {onnx}", "batch_size": "1"}


def test_an_interrupted_measurement_goes_on_from_there(board, optnas, monkeypatch):
    before, write = database(), command.write_onnx
    written = []

    def interrupted(model, inputs, path, **settings):
        written.append(path)
        if len(written) == 8:
            raise Interrupted(130)
        write(model, inputs, path)

    monkeypatch.setattr(command, "write_onnx", interrupted)
    code, _, err = optnas(*ON_BOARD)
    assert code == 130
    assert "what is finished is kept: the same command continues from there" in err
    assert calls() == 7
    code, out, err = optnas(*ON_BOARD)
    assert code == 0
    n = len(FRONT)
    assert f"7 of {n} networks measured before" in err
    assert f"[{n - 7}/{n - 7}]" in err
    assert calls() == n
    assert database() == before
    assert out.count("│ yes ") >= n


def test_a_label_tells_the_devices_of_a_command_apart(board, optnas):
    """The command says nothing of the board behind it."""

    def measured(label):
        (device,) = [one for one in other_devices(*found) if one.label == label]
        return [network.value for network in device.measured]

    study, search = opened()
    found = study, search.location
    assert optnas(*ON_BOARD)[0] == 0
    (file,) = Path("board_elsewhere").iterdir()
    # Earlier versions named a file after the command alone.
    how = ["latency_ms", [["batch_size", "1"], ["command", "sh board.sh {onnx}"]]]
    file = file.rename(file.with_stem(hashlib.sha256(json.dumps(how).encode()).hexdigest()[:8]))
    first = measured("board")
    Path("board.sh").write_text(BOARD.replace("width * 7", "width * 11"))
    other = (*ON_BOARD[:-1], "other")
    code, out, err = optnas(*other)
    assert (code, "measured before" in err) == (0, False)
    assert "measured on other" in out
    assert measured("board") == first
    assert sorted(measured("other")) == sorted(width * 11 % 31 for width in FRONT)
    for options in (ON_BOARD, other):  # each is found again
        assert f"{len(FRONT)} of {len(FRONT)} networks measured before" in optnas(*options)[2]
    assert calls() == 2 * len(FRONT)
    code, _, err = optnas(*ON_BOARD[:-2])
    assert code == 2
    assert "this command has measured several devices (board, other): give --label" in err
    next(path for path in Path("board_elsewhere").iterdir() if path != file).unlink()
    code, out, err = optnas(*ON_BOARD[:-2])  # one alone can be meant
    assert (code, "measured on board" in out) == (0, True)
    assert calls() == 2 * len(FRONT)


def test_a_label_makes_another_device_of_a_command_without_one(board, optnas):
    for options in (ON_BOARD[:-2], ON_BOARD, ON_BOARD[:-2]):
        assert optnas(*options)[0] == 0
    study, search = opened()
    labels = [device.label for device in other_devices(study, search.location)]
    assert labels == ["board", "sh board.sh {onnx}"]
    assert calls() == 2 * len(FRONT)


def test_a_network_that_fails_there_is_named_and_the_others_are_measured(board, optnas):
    Path("fails").write_text("13")
    code, out, err = optnas(*ON_BOARD)
    assert code == 0
    assert "'sh board.sh {onnx}' ended with 3: no memory left" in err
    assert "couldn't be measured there" in err
    assert f"of {len(FRONT) - 1} measured networks" in out
    Path("fails").unlink()  # it is tried again
    code, out, err = optnas(*ON_BOARD)
    assert "[1/1]" in err
    assert f"of {len(FRONT)} measured networks" in out
    assert "couldn't" not in err


def test_a_first_network_that_cannot_be_written_ends_nothing(board, optnas, monkeypatch):
    write, first = command.write_onnx, []

    def write_all_but_the_first(*args, **settings):
        if not first:
            first.append(args)
            raise NetworkError("it can't be written as ONNX: it has none of it")
        write(*args, **settings)

    monkeypatch.setattr(command, "write_onnx", write_all_but_the_first)
    code, out, err = optnas(*ON_BOARD)
    assert code == 0, err
    assert f"of {len(FRONT) - 1} measured networks" in out
    assert "it has none of it" in err


def test_a_program_that_never_works_is_an_error(board, optnas):
    Path("board.sh").write_text("exit 1")
    code, _, err = optnas(*ON_BOARD)
    assert code == 2
    assert "none of the networks could be measured: RuntimeError: 'sh board.sh {onnx}' ended" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--runtime", "tensorrt"), "runtime must be one of torch, onnxruntime, got 'tensorrt'"),
        (("--command", "sh board.sh"), "--command: the command must hold {onnx}"),
        (("--command", "./nothing {onnx}"), "can't run './nothing': No such file"),
        (("--command", "echo fast {onnx}"), "must be a number of milliseconds"),
        (("--device", "cuda:77"), "device 'cuda:77' isn't on this machine"),
        (("--command", "sh {onnx}", "--device", "cpu"), "leave out --device and --runtime"),
        (("--device", "cpu", "--trial", 3), "--trial names one network"),
        (("--device", "cpu", "--replaces", "lose"), "unknown objective 'lose'; there are: loss, "),
        (("--device", "cpu", "--networks", 0), "networks must be at least 1, got 0"),
        ((), "--front needs the other device: --device, --runtime or --command"),
    ],
)
def test_wrong_options_are_refused(board, optnas, options, message):
    code, _, err = optnas("measure", "board.py", "--front", *options)
    assert code == 2
    assert message in err
    assert not Path("board_elsewhere").exists()


def test_options_of_another_device_want_the_front(board, optnas):
    code, _, err = optnas("measure", "board.py", "--device", "cpu")
    assert code == 2
    assert "--device is for the front on another device: give --front too" in err
    assert optnas("measure", "board.py", "--predict")[0] == 2


def test_onnx_runtime_measures_a_front(tmp_path):
    """Real files, in two networks."""
    search = optnas.Search(
        space=optnas.FunctionSpace(
            lambda trial: torch.nn.Linear(2, trial.suggest_int("width", 1, 2)), torch.zeros(1, 2)
        ),
        evaluator=optnas.FunctionEvaluator(
            lambda model, recipe, report: {"loss": 3.0 - model.out_features}, {"loss": "minimize"}
        ),
        objectives=("loss", "params"),
        sampler="random",
        trials=6,
        storage="here.db",
        name="here",
    )
    study = search.run(progress=False)
    before = Path("here.db").read_bytes()
    runtime = optnas.Latency("cpu", runtime="onnxruntime", max_seconds=0.01)
    found = optnas.measure_elsewhere(study, search, runtime, replaces="params", progress=False)
    assert len(found.measured) == 2
    assert all(0 < one.there < 100 for one in found.measured)
    assert all(one.error > 0 for one in found.measured)
    assert found.device.label.endswith(", onnxruntime")
    assert Path("here.db").read_bytes() == before
    with pytest.raises(InputError, match="no objective is called latency_ms: name the"):
        optnas.measure_elsewhere(study, search, runtime, progress=False)
    more = FunctionMetric("speed", lambda candidate: 1.0, "maximize")
    with pytest.raises(InputError, match="less is better in only one of them"):
        optnas.measure_elsewhere(study, search, more, replaces="params", progress=False)


def test_further_networks_are_measured_and_the_others_predicted(board, monkeypatch):
    study, search = opened()
    chosen = elsewhere._chosen
    metric = FunctionMetric("latency_ms", lambda c: 2.0 * (0.1 * c.model.width) ** 1.5)
    with monkeypatch.context() as patch:
        patch.setattr(elsewhere, "_chosen", lambda *args: chosen(*args)[:6])
        with pytest.raises(InputError, match="at least 20 measured networks, and 6 networks"):
            optnas.measure_elsewhere(study, search, metric, predict=True, progress=False)
    found = optnas.measure_elsewhere(
        study, search, metric, networks=27, predict=True, label="pixel", progress=False
    )
    assert len(found.measured) == 27
    assert sum(one.front_here for one in found.measured) == len(FRONT)
    told = found.device.predicted
    assert told.learned == 27
    assert len(found.predicted) == 30 - 27
    for one in found.predicted:
        width = study.trials[one.trial].params["width"]
        assert one.there == pytest.approx(2.0 * (0.1 * width) ** 1.5, rel=0.02)
        assert (one.rank_here, one.rank_there, one.rank_text) == (0, 0, "")
    assert told.error < 0.01
    assert told.tau == pytest.approx(1.0)
    assert f"off by {told.error:.1%} (median; τ 1.00)" in found.text()
    # A further measurement makes them out of date.
    (device,) = other_devices(study, search.location)
    assert device.predicted == told
    found = optnas.measure_elsewhere(study, search, metric, networks=28, progress=False)
    assert found.predicted == []
    assert found.device.label == "pixel"
    optnas.measure_elsewhere(study, search, metric, networks=29, label="new", progress=False)
    (device,) = other_devices(study, search.location)
    assert (device.label, len(device.measured)) == ("new", 29)


def test_the_stated_error_is_that_of_networks_that_were_left_out():
    """On values that nothing explains, a model that has seen them would seem better than chance."""
    from optnas.finished.device_model import _left_out

    rng = np.random.default_rng(0)
    features, values = rng.normal(size=(30, 5)), rng.normal(size=30)
    assert abs(kendalltau(_left_out(features, values), values).statistic) < 0.4
    exact = features @ np.arange(5.0)
    assert np.abs(_left_out(features, exact) - exact).max() < 0.05


def test_measurements_of_networks_that_are_gone_are_left_out(board):
    study, _ = opened()
    seen = Snapshot.of(study)
    name = seen.front[0].user_attrs["architecture"]
    device = OtherDevice("x", "latency_ms", "latency_ms", {}, (There("gone", 0, 1.0),))
    assert compare_device(seen, device).measured == []
    assert compare_device(seen, device).text() == "No network could be measured."
    device = OtherDevice("x", "latency_ms", "latency_ms", {}, (There(name, 0, 1.0),))
    (one,) = compare_device(seen, device).measured
    assert (one.trial, one.there, one.rank_text) == (seen.front[0].number, 1.0, "")
    assert compare_device(seen, OtherDevice("x", "latency_ms", "flops", {})) is None


def test_a_change_of_rank_within_both_intervals_is_called_so(board):
    study, _ = opened()
    seen = Snapshot.of(study)
    one, other = sorted(seen.front, key=lambda trial: trial.values[1])[:2]

    def changed(wide):
        networks = [
            There(trial.user_attrs["architecture"], 0, value, (value - wide, value + wide))
            for trial, value in ((one, 2.0), (other, 1.0))
        ]
        device = OtherDevice("x", "latency_ms", "latency_ms", {}, tuple(networks))
        return [moved.rank_text for moved in compare_device(seen, device).measured]

    assert changed(0.1) == ["1 up", "1 down"]
    assert changed(0.6) == ["1 up, within noise", "1 down, within noise"]


def test_files_in_another_form_are_ignored(board):
    study, search = opened()
    metric = FunctionMetric("latency_ms", lambda c: float(c.model.width))
    optnas.measure_elsewhere(study, search, metric, progress=False)
    (path,) = Path("board_elsewhere").iterdir()
    whole = path.read_text()
    for change in (
        lambda found: found.clear(),
        lambda found: found.update(label=3),
        lambda found: found.update(how=[]),
        lambda found: found.update(measured=None),
        lambda found: found.update(predicted={"model": "x"}),
        lambda found: found["measured"][0].update(value="fast"),
        lambda found: found["measured"][0].update(value=None),
        lambda found: found["measured"][0].update(interval=[1.0]),
        lambda found: found["measured"][0].pop("architecture"),
    ):
        content = json.loads(whole)
        change(content)
        path.write_text(json.dumps(content))
        assert read_device(path) is None
    assert other_devices(study, search.location) == []
    for text in ("{", "[]", whole.replace("1.0", "NaN", 1)):
        path.write_text(text)
        assert other_devices(study, search.location) == []


def test_they_belong_to_the_study(board, optnas):
    """They are copied with it, and removed once it is deleted."""
    assert optnas(*ON_BOARD)[0] == 0
    Path("copy").mkdir()
    code, out, err = optnas("backup", "board.py", "copy/board.db")
    assert code == 0, err
    assert "measured: copy/board_elsewhere" in out
    assert [p.name for p in Path("copy/board_elsewhere").iterdir()] == [
        p.name for p in Path("board_elsewhere").iterdir()
    ]
    Path("copy/board.db").unlink()
    Path("copy/board_elsewhere/notes.txt").write_text("mine")
    for path in Path("copy").rglob("*"):
        os.utime(path, (0, 0))
    optnas("storage", "clean", "copy", "--yes")
    assert Path("copy/board_elsewhere").is_dir()  # it has a file of the user's
    Path("copy/board_elsewhere/notes.txt").unlink()
    os.utime("copy/board_elsewhere", (0, 0))
    optnas("storage", "clean", "copy", "--yes")
    assert not Path("copy/board_elsewhere").exists()
