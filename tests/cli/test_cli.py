import re
import shutil
import signal
import sqlite3
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from command_line import wait_for_line
from warm import Command

from optnas.study.attributes import is_counted, is_stopped
from optnas.study.leases import lease
from optnas.study.record import record_of

STUDY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"


@pytest.fixture(autouse=True)
def study(tmp_path):
    shutil.copyfile(STUDY, tmp_path / "tiny.py")


def load():
    return optuna.load_study(study_name="tiny", storage="sqlite:///tiny.db")


def test_run_status_pareto_resume(optnas, tmp_path):
    code, out, err = optnas("run", "tiny.py")
    assert code == 0
    assert "[4/4] trial 3" in err
    assert "Pareto front of tiny" in out
    assert "figure:        tiny_front.html" in out
    assert "more trials:   optnas resume sqlite:///tiny.db --trials 8" in out
    assert "dashboard:     optnas dashboard sqlite:///tiny.db --file tiny.py" in out
    assert "report:        optnas report sqlite:///tiny.db --file tiny.py" in out
    assert (tmp_path / "tiny_front.html").stat().st_size > 1e6

    code, out, _ = optnas("status", "tiny.py")
    assert code == 0
    for text in ("4 COMPLETE", "best loss", "best flops", "time per trial", "12 architectures"):
        assert text in out

    code, out, err = optnas("resume", "sqlite:///tiny.db", "--trials", 12)
    assert code == 0
    assert f"study file: {tmp_path}/tiny.py" in err
    assert "4 of 12 trials are done already" in err
    assert len(load().trials) == 12
    assert "hypervolume" in err

    code, out, _ = optnas("pareto", "tiny.py", "--x", "flops", "--y", "loss", "--html", "f.html")
    assert code == 0
    assert "flops (less is better)" in (tmp_path / "f.html").read_text()


def test_options_override_the_file_and_are_remembered(optnas):
    code, _, _ = optnas("run", "tiny.py", "--trials", 2, "--sampler", "nsgaii", "--device", "cpu")
    assert code == 0
    assert len(load().trials) == 2
    code, _, err = optnas("run", "tiny.py")
    assert "2 of 2 trials are done already" in err
    code, out, _ = optnas("status", "sqlite:///tiny.db")
    for text in ("--trials", "--sampler", "nsgaii", "--device", "cpu"):
        assert text in out


def test_an_empty_file_is_as_good_as_none(optnas, tmp_path):
    (tmp_path / "tiny.db").touch()
    assert optnas("run", "tiny.py")[0] == 0
    assert len(load().trials) == 4


def test_seed_storage_and_name(optnas):
    code, _, _ = optnas("run", "tiny.py", "--seed", 9, "--storage", "sqlite:///a.db")
    assert code == 0
    code, out, _ = optnas("run", "tiny.py", "--storage", "sqlite:///a.db", "--name", "second")
    assert "optnas resume sqlite:///a.db --name second" in out
    code, out, _ = optnas("status", "sqlite:///a.db", "--name", "tiny")
    assert code == 0
    assert "seed" in out


def test_measure_shows_a_trial_layer_by_layer(optnas):
    optnas("run", "tiny.py")
    for study in ("tiny.py", "sqlite:///tiny.db"):
        code, out, _ = optnas("measure", study, "--trial", 1)
        assert code == 0
        trial = load().trials[1]
        assert f"trial 1: {trial.user_attrs['architecture']}" in out
        assert "Linear" in out
        assert "no bias, normalisation, activation" in out
        assert f"{trial.user_attrs['params']:.0f}" in out

    code, _, err = optnas("measure", "tiny.py", "--trial", 99)
    assert code == 2
    assert "there is no trial 99 in 'tiny'; there are: 0 to 3" in err
    load().add_trial(optuna.create_trial(state=optuna.trial.TrialState.WAITING))
    code, _, err = optnas("measure", "tiny.py", "--trial", 4)
    assert code == 2
    assert "trial 4 (WAITING) has no architecture" in err


def test_measure_says_if_the_settings_are_others_by_now(optnas, tmp_path):
    optnas("run", "tiny.py")
    _, _, err = optnas("measure", "tiny.py", "--trial", 0)
    assert "settings" not in err
    text = (tmp_path / "tiny.py").read_text()
    (tmp_path / "tiny.py").write_text(
        text.replace(
            "objectives=(", "metrics=[optnas.Latency('cpu', threads=1)],\n    objectives=("
        )
    )
    code, out, err = optnas("measure", "tiny.py", "--trial", 0)
    assert code == 0
    assert "latency_ms" in out
    assert "not the study's settings any more" in err
    assert "latency_ms threads: nothing there, 1 here" in err


def test_a_refused_run_leaves_no_database(optnas, tmp_path):
    code, _, err = optnas("run", "tiny.py", "--device", "cuda:99")
    assert code == 2
    assert "isn't on this machine" in err
    assert not (tmp_path / "tiny.db").exists()


def test_measure_before_anything_ran(optnas):
    code, _, err = optnas("measure", "tiny.py")
    assert code == 2
    assert "optnas run" in err or "there is no" in err


def test_measure_refuses_a_network_that_the_code_no_longer_makes(optnas, tmp_path):
    optnas("run", "tiny.py")
    text = (tmp_path / "tiny.py").read_text()
    edited = text.replace("FunctionSpace(build_linear", "FunctionSpace(wider").replace(
        "search =",
        "def wider(trial):\n    return torch.nn.Sequential(build_linear(trial), "
        "torch.nn.Linear(1, 1))\n\n\nsearch =",
    )
    (tmp_path / "tiny.py").write_text(edited)
    code, _, err = optnas("measure", "tiny.py", "--trial", 0)
    assert code == 2
    assert "today's code makes" in err


def test_a_study_file_that_moved(optnas, tmp_path):
    optnas("run", "tiny.py")
    (tmp_path / "tiny.py").rename(tmp_path / "moved.py")
    code, _, err = optnas("resume", "sqlite:///tiny.db")
    assert code == 2
    assert "where there is none now: give the file" in err
    code, _, _ = optnas("resume", "sqlite:///tiny.db", "--file", "moved.py", "--trials", 5)
    assert code == 0
    assert len(load().trials) == 5


def test_time_is_a_budget_that_changes_nothing_else(optnas):
    code, out, _ = optnas("run", "tiny.py", "--hours", 1e-12)
    assert code == 0
    assert "the front is empty" in out
    optnas("run", "tiny.py", "--hours", 1)
    first = [t.params for t in load().trials]
    optnas("run", "tiny.py", "--storage", "sqlite:///other.db")
    other = optuna.load_study(study_name="tiny", storage="sqlite:///other.db")
    assert [t.params for t in other.trials] == first


def test_new_writes_a_study_that_runs(optnas, tmp_path):
    code, out, _ = optnas("new", "mine.py")
    assert code == 0
    assert "optnas run mine.py" in out
    code, _, _ = optnas("run", "mine.py", "--trials", 1, "--epochs", 1)
    assert code == 0
    for path, message in (
        ("mine.py", "exists already"),
        ("mine", "must end in .py"),
        ("no/mine.py", "there is no folder no"),
    ):
        code, _, err = optnas("new", path)
        assert (code, message in err) == (2, True)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "none.py"], "there is no study file none.py"),
        (["run", "tiny.py", "--sampler", "best"], "unknown sampler 'best'"),
        (["run", "tiny.py", "--trials", "0"], "trials must be at least 1"),
        (["run", "tiny.py", "--trials", "many"], "'--trials': give a whole number, got 'many'"),
        (["run", "tiny.py", "--hours", "all"], "'--hours': give a number, got 'all'; `optnas run"),
        (["run", "tiny.py", "--epochs", "3"], "decides on its epochs itself"),
        (["run", "tiny.py", "--device", "gpu"], "unknown device 'gpu'"),
        (
            ["run", "tiny.py", "--workers-of-the-world"],
            "optnas: no such option: --workers-of-the-world",
        ),
        (["run", "tiny.py", "--storage", "tiny"], "is no URL, nor a file that ends in .db, "),
        (["run", "tiny.py", "--storage", "no/tiny.db"], "there is no folder no"),
        (["status", "tiny.py", "--storage", "b.journal"], "there is no study at b.journal"),
        (
            ["export", "none.db", "--format", "x"],
            "unknown format 'x'; there are: onnx, onnx-int8, pt2",
        ),
        (["export", "none.db", "--dynamic", "bad"], "--dynamic takes INPUT:DIMENSION=NAME"),
        (["export", "none.db", "--weights", "x"], "weights must be retrained or search, got 'x'"),
        (["export", "none.db", "--batch-size", "0"], "batch_size must be at least 1, got 0"),
        (["status", "tiny.py"], "there is no study at tiny.db"),
        (["pareto", "sqlite:///none.db"], "there is no study at none.db"),
        (["resume", "sqlite:///none.db"], "there is no study at none.db"),
        (["status", "sqlite:///x.db", "--storage", "sqlite:///y.db"], "leave out --storage"),
        (["fly"], "optnas: no such command 'fly'; `optnas --help` lists"),
        (["repot"], "no such command 'repot' (did you mean report?)"),
        (["run", "tiny.py", "--trails", "3"], "(did you mean --trials?); `optnas run --help`"),
        (["run"], "optnas: missing argument 'study'"),
        (["storage", "cpy"], "no such command 'cpy' (did you mean copy?)"),
        (["run", "tiny.py", "--sampler", "evolutoin"], "(did you mean evolution?)"),
        (["run", "template", "--epochs", "0"], "epochs must be at least 1"),
        (["status", "http://x:port/"], "is no URL"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(optnas, tmp_path, args, message):
    before = sorted(tmp_path.iterdir())
    code, out, err = optnas(*args)
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err
    assert [p for p in sorted(tmp_path.iterdir()) if p.name != "__pycache__"] == before


def test_without_a_trial_the_commands_take_the_one_that_pick_names(optnas):
    assert optnas("run", "tiny.py")[0] == 0
    picked = optnas("pick", "tiny.py")[1].splitlines()[0]
    code, out, err = optnas("measure", "tiny.py")
    assert code == 0
    assert out.splitlines()[0] == picked
    assert f"{picked.split(':')[0]}, as `optnas pick` does: closest to the ideal point" in err


def test_a_backup_into_a_folder_that_is_read_only_is_one_sentence(optnas, tmp_path, monkeypatch):
    optnas("run", "tiny.py")
    (tmp_path / "closed").mkdir()
    connect = sqlite3.connect

    def denied(path, *args, **kwargs):
        if "closed" in str(path):
            raise sqlite3.OperationalError("unable to open database file")
        return connect(path, *args, **kwargs)

    def unlink(self, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(sqlite3, "connect", denied)
    monkeypatch.setattr(Path, "unlink", unlink)
    code, _, err = optnas("backup", "tiny.db", "closed/copy.db")
    assert code == 2
    assert err.startswith("optnas: can't back ")
    assert "closed/copy.db: " in err


def test_version_and_help(optnas):
    assert optnas("--version")[:2] == (0, "0.1.0\n")
    code, out, _ = optnas("run", "--help")
    assert code == 0
    assert "--accept-changes" in out
    assert "bool" not in out
    for without_a_command in ((), ("storage",)):
        code, out, err = optnas(*without_a_command)
        assert (code, err) == (2, "")
        assert "copy" in out or "Show how far a study is" in out


def test_dashboard_serves_the_study_and_its_weights(optnas):
    from optnas.dashboard.server import make_dashboard
    from optnas.errors import InputError

    optnas("run", "tiny.py")
    study = load()
    server = make_dashboard(study._storage, Path("tiny_weights").absolute(), port=0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        url = f"{base}/api/studies/{study._study_id}"
        detail = urllib.request.urlopen(url).read().decode()
        assert all(f'"{name}"' in detail for name in ("loss", "params", "flops"))
        assert "weights.safetensors" in detail
        with pytest.raises(
            InputError, match=r"can't listen on 127.0.0.1:\d+ .*; try another `port=`"
        ):
            make_dashboard(study._storage, Path(), port=server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    study._storage.remove_session()


SLOW = """
import os, time, torch, optnas
from networks import build_linear

def wait(model, recipe, report):
    open(f"started-{len(os.listdir('.'))}", "w").close()
    loss = 1.0 / sum(p.numel() for p in model.parameters())
    if os.path.exists("hold"):
        print("holding", flush=True)
        while os.path.exists("hold"):
            time.sleep(0.02)
    return {"loss": loss}

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(wait, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="evolution", trials=5, seed=3,
)
"""


def held(tmp_path, optnas, *args):
    """A run that is in the middle of its third trial."""
    (tmp_path / "slow.py").write_text(SLOW)
    assert optnas("run", "slow.py", "--trials", 2)[0] == 0
    (tmp_path / "hold").touch()
    return Command("run", "slow.py", "--trials", 5, *args)


@pytest.mark.parametrize(
    ("numbers", "code", "reason"),
    [
        ((signal.SIGINT, signal.SIGINT), 130, "interrupted"),
        ((signal.SIGTERM,), 143, "interrupted"),
        ((signal.SIGHUP,), 143, "interrupted"),
        ((signal.SIGKILL,), -9, "killed"),
    ],
)
def test_a_run_that_is_stopped_in_a_trial_loses_only_that_one(
    optnas, tmp_path, numbers, code, reason
):
    process = held(tmp_path, optnas)
    assert process.stdout.readline() == "holding\n"
    for number in numbers:
        process.send_signal(number)
        if len(numbers) == 2 and number is numbers[0]:
            wait_for_line(process.stderr, "finished first; Ctrl-C again gives them up")
            numbers = numbers[1:]
    _, err = process.communicate()
    assert process.returncode == code
    assert "Traceback" not in err
    if code > 0:
        assert "interrupted; running trials are repeated next time" in err
        assert "2 of 5 trials are done and kept" in err
    (tmp_path / "hold").unlink()

    code, _, err = optnas("run", "slow.py")
    assert code == 0
    assert ("repeating lost trials: 2" in err) == (reason == "killed")
    study = optuna.load_study(study_name="slow", storage="sqlite:///slow.db")
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 2 + ["FAIL"] + ["COMPLETE"] * 3
    assert study.trials[2].user_attrs["lost"] == reason
    assert study.trials[3].params == study.trials[2].params
    integrity = sqlite3.connect("slow.db").execute("PRAGMA integrity_check").fetchall()
    assert integrity == [("ok",)]


def test_a_run_that_is_stopped_while_it_prepares_says_so(optnas, tmp_path, monkeypatch):
    def prepare(search, objective, study, observer, stop, accept_changes):
        stop.request()
        return False

    monkeypatch.setattr("optnas.search.run._prepare", prepare)
    (tmp_path / "slow.py").write_text(SLOW)
    code, _, err = optnas("run", "slow.py", "--trials", 2)
    assert code == 3
    assert "stopped before the first trial. 0 of 2 trials are done and kept" in err


def test_one_ctrl_c_finishes_what_is_running(optnas, tmp_path):
    process = held(tmp_path, optnas)
    assert process.stdout.readline() == "holding\n"
    process.send_signal(signal.SIGINT)
    wait_for_line(process.stderr, "the running trials are finished first")
    (tmp_path / "hold").unlink()
    _, err = process.communicate()
    assert process.returncode == 3
    assert "stopped; running trials were finished. 3 of 5 trials are done and kept" in err
    study = optuna.load_study(study_name="slow", storage="sqlite:///slow.db")
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 3


def test_status_says_what_is_running(optnas):
    assert optnas("run", "tiny.py")[0] == 0
    study = load()
    study.ask().set_user_attr("lease", lease())
    study.ask().set_user_attr("lease", {"host": "elsewhere", "renewed": 0.0})
    out = optnas("status", "tiny.py")[1]
    assert re.search(r"trial 4 for 0:\d\d, trial 5 for 0:\d\d \(its process is gone\)", out)
    study._storage.remove_session()


def test_reading_changes_nothing(optnas, tmp_path):
    """Not a plain Optuna study, nor an empty file, nor another program's database."""
    study = optuna.create_study(
        study_name="[red]plain[/b]", storage="sqlite:///plain.db", directions=["minimize"] * 2
    )
    study.add_trial(optuna.create_trial(values=[1.0, float("inf")]))
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    (tmp_path / "empty.db").touch()
    before = {p.name: p.read_bytes() for p in tmp_path.glob("*.db")}
    assert optnas("status", "sqlite:///plain.db")[0] == 0
    code, out, _ = optnas("pareto", "sqlite:///plain.db")
    assert code == 0
    assert "[red]plain[/b]" in out
    code, _, err = optnas("status", "sqlite:///empty.db")
    assert (code, "no study in empty.db yet" in err) == (2, True)
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.db")} == before


def test_a_figure_never_overwrites_a_study(optnas, tmp_path):
    optnas("run", "tiny.py")
    code, out, err = optnas("pareto", "tiny.py", "--html", "tiny.db")
    assert (code, out) == (2, "")
    assert "must end in .html" in err
    assert len(load().trials) == 4
    assert optnas("pareto", "tiny.py", "--html", "no/f.html")[0] == 2


def test_pick(optnas):
    assert optnas("run", "tiny.py")[0] == 0
    best = min(load().trials, key=lambda t: (t.values[0], t.number))
    code, out, _ = optnas("pick", "tiny.py", "--max", "flops=1e9", "--min", "params=1")
    assert code == 0
    assert out.startswith(f"trial {best.number}: ")
    assert "with flops ≤ 1,000,000,000, params ≥ 1" in out
    assert "best of 2 networks" in out
    assert out.endswith(f"next: optnas export tiny.py --trial {best.number}\n")
    study = load()  # its training code has no final training; an older version wouldn't know it
    for retrains, command in ((True, "retrain"), (None, "retrain"), (False, "export")):
        record = replace(record_of(study), retrains=retrains)
        study.set_user_attr("optnas", record.stored())
        assert f"next: optnas {command} tiny.db --trial " in optnas("pick", "tiny.db")[1]
    code, out, _ = optnas("pick", "sqlite:///tiny.db", "--weights", "loss=-1, flops=-0.1")
    assert code == 0
    assert "largest weighted sum (loss -1, flops -0.1" in out
    assert "closest to the ideal point" in optnas("pick", "tiny.py", "--knee")[1]
    for args, message in [
        (["--max", "flops"], "--max 'flops' must be NAME=VALUE, such as latency_ms=2"),
        (["--max", "flops=nan"], "must be NAME=VALUE"),
        (["--max", "flops=1", "--max", "flops=2"], "--max is given twice for flops"),
        (["--weights", "flops=1"], "flops is minimised, so its weight must be below 0"),
        (["--knee", "--weights", "flops=-1"], "give one of them"),
        (["--max", "flops=0"], "the nearest is trial"),
    ]:
        code, out, err = optnas("pick", "tiny.py", *args)
        assert (code, out) == (2, "")
        assert message in err


def test_compare(optnas, tmp_path):
    for name in ("a", "b"):
        assert optnas("run", "tiny.py", "--storage", f"sqlite:///{name}.db", "--seed", len(name))
    assert optnas("run", "tiny.py", "--storage", "sqlite:///b.db", "--name", "two")[0] == 0
    code, out, _ = optnas("compare", "a.db", "sqlite:///b.db", "--html", "c.html", "--x", "loss")
    assert code == 0
    for text in (
        "compared by loss, params, flops",
        "a.db",
        "tiny",
        "two",
        "hypervolume",
        "0%",
        "c.html",
    ):
        assert text in out
    assert "Fronts compared" in (tmp_path / "c.html").read_text()
    for args, message in [
        (["a.db"], "needs two studies or more, got a.db"),
        (["a.db", "none.db"], "there is no study at none.db"),
        (["a.db", "b.db", "--x", "loss"], "--x is for the figure: give --html too"),
        (["a.db", "b.db", "--html", "c.db"], "must end in .html"),
    ]:
        code, out, err = optnas("compare", *args)
        assert (code, out) == (2, "")
        assert message in err


def test_a_database_file_is_as_good_as_its_url(optnas):
    assert optnas("run", "tiny.py")[0] == 0
    assert optnas("run", "tiny.py", "--storage", "journal:///tiny.journal")[0] == 0
    for study in ("tiny.db", "tiny.journal"):
        assert "4 COMPLETE" in optnas("status", study)[1]
        _, out, err = optnas("measure", study, "--trial", 0)
        assert "layer" in out
        kind = "sqlite" if study == "tiny.db" else "journal"
        assert err.startswith(f"study tiny in {kind}:///{study}, on ")
    code, _, err = optnas("status", "none.journal")
    assert (code, "there is no study at none.journal" in err) == (2, True)
    assert "leave out --storage" in optnas("status", "tiny.db", "--storage", "sqlite:///b.db")[2]


def test_a_new_study_lies_in_the_database_file_that_storage_names(optnas, tmp_path):
    for file in ("new.db", tmp_path / "new.sqlite3", "odd name#1?.db", "new.journal"):
        code, out, err = optnas("run", "tiny.py", "--trials", 1, "--storage", file)
        assert code == 0, err
        assert (tmp_path / file).is_file()
        assert "1 COMPLETE" in optnas("status", "tiny.py", "--storage", file)[1]
    assert "study tiny in journal:///new.journal, on " in err
    assert "optnas resume journal:///new.journal --trials 2" in out


def test_the_front_shows_what_fresh_seeds_say(optnas):
    assert optnas("run", "tiny.py")[0] == 0
    assert "fresh seeds" not in optnas("pareto", "tiny.py")[1]
    code, _, err = optnas("confirm", "tiny.py", "--seeds", 2)
    assert code == 0
    assert err.startswith("study tiny in sqlite:///tiny.db, on ")
    out = optnas("pareto", "tiny.db")[1]
    assert "with fresh seeds" in out
    assert " stands " in out


HOPELESS = """
import torch, optnas
from torch import nn

def fit(model, recipe, report):
    for step, left in enumerate((1.0, 0.5, 0.25)):
        report(step, {"loss": left * model.out_features})
    return {"loss": 0.25 * model.out_features}

search = optnas.Search(
    space=optnas.FunctionSpace(
        lambda trial: nn.Linear(1, trial.suggest_int("width", 1, 99)), torch.zeros(1, 1)
    ),
    evaluator=optnas.FunctionEvaluator(fit, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="random", trials=14, seed=0, device="cpu", name="tiny",
)
"""


def test_early_stopping_is_remembered_until_the_other_choice_is_given(optnas, tmp_path):
    (tmp_path / "tiny.py").write_text(HOPELESS)

    def stopped():
        return [is_stopped(trial) for trial in load().trials]

    code, _, err = optnas("run", "tiny.py", "--early-stop")
    assert code == 0
    assert "pruned: stopped after epoch 1: at best it ends with loss" in err
    assert "[14/14]" in err
    assert len(stopped()) == 14
    assert any(stopped())
    _, out, _ = optnas("status", "tiny.py")
    assert f"{14 - sum(stopped())} COMPLETE, {sum(stopped())} stopped" in out
    assert "--early-stop" in out
    _, _, err = optnas("resume", "sqlite:///tiny.db", "--trials", 20)
    assert "remembered from earlier runs: --early-stop\n" in err
    assert any(stopped()[14:])
    code, _, _ = optnas("run", "tiny.py", "--trials", 30, "--no-early-stop")
    assert code == 0
    assert len(stopped()) == 30
    assert not any(stopped()[20:])
    optnas("report", "tiny.py")
    page = (tmp_path / "tiny_report.html").read_text()
    assert "no way was left to the front" in page
    assert "--trials 30 --no-early-stop" in page


def test_workers_stop_early_too_and_end_with_exactly_what_was_asked_for(optnas, tmp_path):
    (tmp_path / "tiny.py").write_text(HOPELESS)
    code, _, err = optnas("run", "tiny.py", "--early-stop", "--workers", 2, "--trials", 30)
    assert code == 0, err
    assert sum(map(is_counted, load().trials)) == 30
    assert any(map(is_stopped, load().trials))


def test_a_dry_run_writes_nothing_and_says_what_would_be_refused(optnas, tmp_path):
    before = sorted(tmp_path.iterdir())
    code, out, err = optnas("run", "tiny.py", "--dry-run", "--trials", 7)
    assert code == 0
    assert "study:         tiny in sqlite:///tiny.db, a new study" in out
    assert "trials:        7, by the sampler random" in out
    assert "nothing was written" in err
    assert sorted(tmp_path.iterdir()) == before
    assert optnas("run", "tiny.py")[0] == 0
    assert optnas("run", "tiny.py", "--dry-run", "--set", "evaluator.provides=x")[0] == 2
    code, out, _ = optnas("run", "tiny.py", "--dry-run", "--seed", 9)
    assert (code, "4 of 4 done" in out) == (2, True)
    assert "refused:       study 'tiny' has seed 3, and 9 was given" in out


def test_settings_of_the_file_are_set_and_remembered(optnas, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    code, _, err = optnas("run", "own.py", "--set", "space.width=4,4", "--set", "evaluator.rate=2")
    assert code == 0, err
    study = optuna.load_study(study_name="own", storage="sqlite:///own.db")
    assert {trial.params["width"] for trial in study.trials} == {4}
    assert {trial.user_attrs["loss"] for trial in study.trials} == {2}
    code, _, err = optnas("resume", "sqlite:///own.db", "--trials", 3)
    assert code == 0
    assert "remembered from earlier runs: --set=space.width=4,4 --set=evaluator.rate=2" in err
    code, out, _ = optnas("status", "own.py")
    assert "--set=space.width=4,4" in out
    code, _, err = optnas("run", "own.py", "--set", "space.width=4,5")
    assert code == 2
    assert "OwnSpace" in err
    assert optnas("run", "own.py", "--set", "space.width")[0] == 2


OWN = """
from dataclasses import dataclass
import torch
import optnas


@dataclass(frozen=True)
class OwnSpace(optnas.SearchSpace):
    width: tuple[int, int] = (1, 8)
    example_inputs = torch.zeros(1, 2)

    def suggest(self, trial):
        return trial.suggest_int("width", *self.width)

    def build(self, width):
        return torch.nn.Linear(2, width)


class Rate(optnas.Evaluator):
    def __init__(self, rate: float = 1.0):
        self.fingerprint = {"rate": rate}

    provides, fingerprint = {"loss": "minimize"}, {}

    def suggest(self, trial):
        return ""

    def evaluate(self, candidate, recipe, report):
        return {"loss": self.fingerprint["rate"]}


search = optnas.Search(
    space=OwnSpace(), evaluator=Rate(), objectives=("loss", "params"), sampler="random",
    trials=2, seed=0,
)
"""
