"""What a run knows of its worker processes: what they report, whether they hang, how they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import optuna
import pytest
from optuna.trial import TrialState

import optnas.runs.worker
import optnas.runs.worker_process
from optnas.runs.logs import open_log, remove_empty
from optnas.runs.observer import Observer
from optnas.runs.worker import Running, Worker, end_hanging
from optnas.runs.worker_process import Job, WorkerProcesses
from optnas.study.attributes import FAILURE

JOB = Job("", "", "", {}, accept_changes=False)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    monkeypatch.setattr(optnas.runs.worker_process, "PATIENCE", 0.0)  # no signal reaches some here


def echoes(folder, starting=lambda process: None):
    """Workers that report what they are told, in a study of one running trial."""

    class Echo:
        def start(self, name, log, *_):
            open(log, "a").close()
            process = subprocess.Popen(
                ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            starting(process)
            return process

        def close(self):
            pass

    study = optuna.create_study()
    study.ask()
    return WorkerProcesses(study, Observer(), folder / "logs", starter=Echo())


def report(worker, **event):
    worker.process.stdin.write(json.dumps(event) + "\n")
    worker.process.stdin.flush()


def test_a_ctrl_c_reaches_the_worker_that_is_being_started_once(tmp_path):
    signals = []

    def starting(process):
        processes.finish()  # the handler of Ctrl-C
        process.send_signal = signals.append

    processes = echoes(tmp_path, starting)
    with processes:
        processes.start(0, JOB, {})
        assert signals == [signal.SIGINT]
        processes.finish()
        assert signals == [signal.SIGINT]


def test_a_worker_lives_whose_reports_the_main_thread_has_not_read(tmp_path, monkeypatch):
    """It was stopped by Ctrl-Z, or is in a callback of the user's."""
    monkeypatch.setattr(optnas.runs.worker, "HANGING", 0.0)
    kills = []
    with echoes(tmp_path, lambda process: setattr(process, "kill", lambda: kills.append(1))) as run:
        run.start(0, JOB, {})
        (worker,) = run.workers
        report(worker, began=0)
        while not any("began" in event for _, event in run.events()):
            pass
        report(worker, finished=0)
        worker.process.stdin.close()
        assert worker.ended(60)
        run.end_hanging(-1.0)
        assert kills == []
        assert FAILURE not in run._study.trials[0].user_attrs


@pytest.mark.parametrize("now", [None, Running(1, 0.0)])
def test_a_worker_whose_trial_ends_while_the_study_is_read_lives(now):
    """The thread that listens takes in the end of a trial at any moment."""
    study = optuna.create_study()
    trial = study.ask()
    process = mock.Mock()
    worker = Worker(0, process)
    worker.running = Running(trial.number, time.monotonic() - 100)
    assert worker.hanging(100.0) is None
    hanging = worker.hanging(1.0)
    assert hanging == worker.running
    get_trials = study.get_trials

    def reads_and_ends(**settings):
        worker.running = now
        return get_trials(**settings)

    with mock.patch.object(study, "get_trials", reads_and_ends):
        end_hanging(worker, hanging, study, 1.0)
    process.kill.assert_not_called()
    assert worker.running is now
    assert study.trials[0].state == TrialState.RUNNING


def hanging_worker(study):
    """A worker that hangs in the first trial of a study."""
    worker = Worker(0, mock.Mock())
    worker.running = Running(study.ask().number, time.monotonic() - 100)
    return worker


def test_a_worker_whose_trial_has_ended_gets_time_to_report_it(monkeypatch):
    """What it has reported lies in the pipe while this process is stopped."""
    study = optuna.create_study()
    worker = hanging_worker(study)
    study.tell(worker.running.trial, 1.0)
    monkeypatch.setattr(optnas.runs.worker, "HANGING", 50.0)
    end_hanging(worker, worker.hanging(1.0), study, 1.0)
    worker.process.kill.assert_not_called()
    assert worker.hanging(1.0) is None
    # If it reports nothing in that time, either, it hangs.
    monkeypatch.setattr(optnas.runs.worker, "HANGING", -1.0)
    end_hanging(worker, worker.hanging(1.0), study, 1.0)
    worker.process.kill.assert_called_once_with()
    assert study.trials[0].state == TrialState.COMPLETE
    assert FAILURE not in study.trials[0].user_attrs


def test_a_worker_that_hangs_in_its_trial_is_killed(monkeypatch):
    monkeypatch.setattr(optnas.runs.worker, "HANGING", 50.0)
    study = optuna.create_study()
    worker = hanging_worker(study)
    end_hanging(worker, worker.hanging(1.0), study, 1.0)
    worker.process.kill.assert_called_once_with()
    assert worker.running is None
    assert study.trials[0].state == TrialState.FAIL


def test_a_run_removes_its_own_empty_logs_alone(tmp_path):
    """The worker of another run of the study writes to its log later."""
    logs = tmp_path / "logs"
    with echoes(tmp_path) as first:
        first.start(0, JOB, {})
        (of_first,) = logs.iterdir()
        with echoes(tmp_path) as second:
            second.start(0, JOB, {})
            assert len(list(logs.iterdir())) == 2
        assert list(logs.iterdir()) == [of_first]
    assert not logs.exists()
    with echoes(tmp_path) as third:
        third.start(0, JOB, {})
        (log,) = logs.iterdir()
        log.write_text("a warning")
    assert list(logs.iterdir()) == [log]


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_worker_process import JOB, echoes

run = echoes(Path({folder!r}))
run.start(0, JOB, {{}})
if {printed}:
    run.start(1, JOB, {{}})
    next(Path({folder!r}, "logs").glob("*worker2.log")).write_text("a warning")
os._exit(9)
"""


@pytest.mark.skipif(os.name == "nt", reason="nothing is locked there")
@pytest.mark.parametrize("printed", [False, True])
def test_a_run_removes_the_empty_logs_of_one_that_was_killed(tmp_path, printed):
    tests = str(Path(__file__).parent)
    code = KILLED.format(tests=tests, folder=str(tmp_path), printed=printed)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    logs = tmp_path / "logs"
    assert len(list(logs.iterdir())) == 1 + printed
    elsewhere = logs / "elsewhere-1a2b3c4d-worker1.log"
    elsewhere.touch()
    with echoes(tmp_path) as run:
        run.start(0, JOB, {})
    left = [log.read_text() for log in logs.iterdir() if log != elsewhere]
    assert left == ["a warning"] * printed
    assert elsewhere.exists()


@pytest.mark.skipif(os.name == "nt", reason="nothing is locked there")
def test_a_worker_that_outlives_its_run_keeps_its_log(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    name = f"{socket.gethostname()}-1a2b3c4d"
    log, server = logs / f"{name}-worker1.log", logs / f"{name}-server.log"
    server.touch()
    file = open_log(log)
    worker = subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=file
    )
    os.close(file)
    remove_empty(logs, [])
    assert sorted(logs.iterdir()) == [server, log]
    worker.communicate()
    remove_empty(logs, [])
    assert not logs.exists()


def test_a_log_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    log, opened = tmp_path / "of-1a2b3c4d-worker1.log", []

    def opened_and_removed(*args):
        opened.append(real(*args))
        if len(opened) == 1:
            log.unlink()
        return opened[-1]

    real = os.open
    monkeypatch.setattr(os, "open", opened_and_removed)
    os.write(open_log(log), b"printed")
    os.close(opened[-1])
    assert log.read_text() == "printed"


def test_a_run_starts_while_another_one_removes_the_folder_of_logs(tmp_path, monkeypatch):
    mkdir, removed = Path.mkdir, []

    def made_and_removed(path, **settings):
        mkdir(path, **settings)
        if not removed:
            path.rmdir()
            removed.append(path)

    monkeypatch.setattr(Path, "mkdir", made_and_removed)
    with echoes(tmp_path) as run:
        run.start(0, JOB, {})
        assert len(list((tmp_path / "logs").iterdir())) == 1
    assert removed == [tmp_path / "logs"]
