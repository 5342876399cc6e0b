"""Workers: processes of their own that run one study."""

import os
import signal
import time
from pathlib import Path

import command_line
import hanging
import networks
import optuna
import psutil
import pytest
import warm
from interrupts import interrupts_itself
from optuna.trial import TrialState

import optnas
import optnas.runs.worker
import optnas.runs.worker_process
import optnas.runs.workers
from optnas.errors import InputError, WorkerError
from optnas.storage.open import close_storage, open_storage

STUDY = """
import os, signal, sys, time, torch, optnas
from pathlib import Path
from unittest import mock
from networks import build_linear

def first(name):
    try:
        Path(name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

def fit(model, recipe, report):
    loss = 1.0 / sum(p.numel() for p in model.parameters())
    report(0, {"loss": loss})
    print("printed by the study")
    Path("began").touch()
    BODY
    return {"loss": loss}

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(fit, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="evolution", trials=6, seed=3, device="cpu",
)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a study file whose evaluator does something besides."""
    here = str(Path(networks.__file__).parent)
    monkeypatch.syspath_prepend(here)

    def write(body):
        file = tmp_path / "crowd.py"
        # Another hash of the code would be another evaluator: what differs is read from a file.
        (tmp_path / "body").write_text(body)
        code = 'exec(Path("body").read_text())'
        file.write_text(STUDY.replace("BODY", code))
        return file

    return write


def trials():
    study = optuna.load_study(study_name="crowd", storage="sqlite:///crowd.db")
    return study.get_trials(deepcopy=False)


def states():
    """The states, without trials that ended themselves as one too many."""
    return [t.state.name for t in trials() if "surplus" not in t.user_attrs]


def test_two_workers_run_exactly_the_trials_asked_for(write, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = write(
        """
import logging
logging.getLogger("optnas").warning("something that a person should know")
time.sleep(0.02)
"""
    )
    study = optnas.load_search(file).run(workers=2)
    assert states() == ["COMPLETE"] * 6
    assert {t.user_attrs["lease"]["pid"] for t in study.trials}.isdisjoint({os.getpid()})
    err = capsys.readouterr().err
    assert "[6/6] trial" in err
    assert "\nsomething that a person should know\n" in "\n" + err
    logs = list(Path("crowd_logs").glob("*.log"))
    # Two workers may draw the same architecture in the same instant: it is trained once.
    trained = [t for t in trials() if t.values and "duplicate_of" not in t.user_attrs]
    assert sum(log.read_text().count("printed by the study") for log in logs) == len(trained)
    # The study continues with any number of workers.
    optnas.load_search(file).override(optnas.study.record.Overrides(trials=8)).run(workers=1)
    assert states() == ["COMPLETE"] * 8


def test_a_worker_that_dies_is_replaced_and_its_trial_repeated(write, capsys):
    file = write(
        """
if first("died"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    optnas.load_search(file).run(workers=2)
    assert states().count("COMPLETE") == 6
    (lost,) = [t for t in trials() if "lost" in t.user_attrs]
    assert lost.user_attrs["lost"] == "killed"
    err = capsys.readouterr().err
    assert "died (SIGKILL); another one is started" in err
    assert f"repeating lost trials: {lost.number}" in err


def test_workers_go_on_without_the_process_that_forked_them(write, capsys):
    """It is killed with a worker, while the other one runs a trial."""
    file = write(
        """
if Path(f"/proc/{os.getppid()}/comm").read_text() == "optnas server\\n" and first("died"):
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    optnas.load_search(file).run(workers=2)
    assert states().count("COMPLETE") == 6
    (lost,) = [t for t in trials() if "lost" in t.user_attrs]
    assert lost.user_attrs["lost"] == "killed"
    retries = [t for t in trials() if t.user_attrs.get("retry_of") == lost.number]
    assert [t.state.name for t in retries] == ["COMPLETE"]
    said = "and so did the process that forked it, or it had too little memory); another one"
    assert said in capsys.readouterr().err


def test_workers_that_all_die_end_the_run(write, monkeypatch):
    file = write("os.kill(os.getpid(), signal.SIGKILL)")
    file.write_text("import os\nif 'WORKER' in os.environ: os._exit(7)\n" + file.read_text())
    search = optnas.load_search(file)
    monkeypatch.setenv("WORKER", "1")
    monkeypatch.setattr(optnas.runs.workers, "MAX_DEATHS", 1)  # each takes seconds
    with pytest.raises(InputError, match=r"workers died one after the other .*exit code 7"):
        search.run(workers=2, progress=False)


def test_a_mistake_in_the_code_ends_the_run_with_its_traceback(write):
    file = write("1 / 0")
    with pytest.raises(WorkerError, match=r"(?s)Traceback .*ZeroDivisionError: division by zero"):
        optnas.load_search(file).run(workers=2, progress=False)
    assert "COMPLETE" not in states()
    assert "RUNNING" not in states()


def test_a_file_that_was_edited_meanwhile_is_refused(write):
    file = write(
        """
# At once, as editors do it: the other worker may read the file at this moment.
if first("edited"):
    Path("new.py").write_text(Path("crowd.py").read_text().replace("1.0 /", "2.0 /"))
    os.replace("new.py", "crowd.py")
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    with pytest.raises(InputError, match=r"evaluator .* there, .* here.*go back to its settings"):
        optnas.load_search(file).run(workers=2, progress=False)


def test_a_worker_that_hangs_where_no_signal_reaches_it_is_killed(write, monkeypatch, capsys):
    hanging.patch(monkeypatch)
    file = write(f'if first("hung"):{hanging.SAYS_SO}    os.kill(os.getpid(), signal.SIGSTOP)')
    search = optnas.load_search(file).override(optnas.study.record.Overrides(trial_timeout=600))
    search.run(workers=2)
    assert states().count("COMPLETE") == 6
    (hung,) = [t for t in trials() if "failure" in t.user_attrs]
    assert hung.state == TrialState.FAIL
    assert hung.user_attrs["failure"].startswith("hung for longer than")


def test_workers_need_a_file_and_a_url(search, write):
    with pytest.raises(InputError, match="this search has none: put it into a file"):
        search.run(workers=2)
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        search.run(workers=0)
    import dataclasses

    storage = optuna.storages.InMemoryStorage()
    held = dataclasses.replace(optnas.load_search(write("pass")), storage=storage)
    with pytest.raises(InputError, match="workers open the storage by its URL"):
        held.run(workers=2)


HOLD = """
while os.path.exists("hold"):
    time.sleep(0.02)
"""


def start(write):
    """A run with two workers, each in the middle of a trial."""
    file = write(HOLD)
    Path("hold").touch()
    process = warm.Command("run", file, "--workers", 2)
    while not Path("began").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    storage = open_storage("sqlite:///crowd.db")  # once: that takes longer than to read trials
    study = optuna.load_study(study_name="crowd", storage=storage)
    while sum("recipe" in t.user_attrs for t in study.get_trials(deepcopy=False)) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    close_storage(storage)
    return process


def test_one_ctrl_c_lets_workers_finish(write):
    process = start(write)
    process.send_signal(signal.SIGINT)
    command_line.wait_for_line(process.stderr, "the running trials are finished first")
    Path("hold").unlink()
    _, err = process.communicate()
    assert process.returncode == 3, err
    assert states() == ["COMPLETE"] * 2


@interrupts_itself
def test_a_ctrl_c_while_workers_are_started_starts_no_more_of_them(write, monkeypatch):
    """The first one of a run takes seconds."""
    started = []

    def start(self, index, *args):
        starts(self, index, *args)
        started.append(index)
        os.kill(os.getpid(), signal.SIGINT)

    starts = optnas.runs.worker_process.WorkerProcesses.start
    monkeypatch.setattr(optnas.runs.worker_process.WorkerProcesses, "start", start)
    search = optnas.load_search(write("pass"))
    with pytest.raises(KeyboardInterrupt):
        search.run(workers=3, progress=False)
    assert started == [0]
    assert set(states()) <= {"COMPLETE"}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_what_is_given_up_is_queued_again(write, number, code):
    process = start(write)
    pids = {t.user_attrs["lease"]["pid"] for t in trials()}
    pids |= {psutil.Process(pid).ppid() for pid in pids}
    process.send_signal(number)
    if number == signal.SIGINT:
        command_line.wait_for_line(process.stderr, "the running trials are finished first")
        process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert number == signal.SIGKILL or not any(map(psutil.pid_exists, pids))
    while any(
        optnas.study.leases._started(pid) for pid in pids
    ):  # they see that their parent is gone
        time.sleep(0.05)
    assert sorted(states()) == ["FAIL", "FAIL", "WAITING", "WAITING"]
    assert [t.user_attrs["lost"] for t in trials()[:2]] == ["interrupted"] * 2
