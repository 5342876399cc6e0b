"""Commands that run: their curves, their ends, and what they leave behind."""

import json
import math
import os
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import optuna
import psutil
import pytest
import torch
from optuna.trial import FixedTrial

import optnas
from optnas.candidate import Candidate
from optnas.devices.sharing import exclusive
from optnas.errors import CandidateError, CommandError, InputError
from optnas.evaluators import CommandEvaluator, Report
from optnas.evaluators.command import process, run, supervisor
from optnas.evaluators.evaluation import reporting
from optnas.testing import EvaluatorContract

LOSS = {"loss": ("minimize", r"loss ([\d.]+)")}
LINEAR = Candidate("linear", torch.zeros(1, 2), lambda: torch.nn.Linear(2, 1), seed=5)
PYTHON = "python -S train.py"
"""Without the site's packages an interpreter starts in a moment."""


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.2)
    monkeypatch.setattr(process, "PATIENCE", 60.0)


def write(text, name="train.py"):
    Path(name).write_text(textwrap.dedent(text))


def evaluate(command=PYTHON, scores=LOSS, params=None, report=None, **settings):
    """The scores and the curve of a command; its parameters are the trial's."""
    evaluator = CommandEvaluator(command, scores, **settings)
    trial = FixedTrial(params or {})
    for name, value in (params or {}).items():
        trial.suggest_categorical(name, [value])
    report = report or Report()
    return evaluator.evaluate(LINEAR, evaluator.suggest(trial), report), report.curve


def gone(pid):
    """Whether a process has ended, after a minute at most."""
    try:
        found = psutil.Process(pid)
        return found.status() == psutil.STATUS_ZOMBIE or found.wait(60) is None or True
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False


ECHO = """
    import json, os, sys
    print("loss 1")
    print("args", json.dumps(sys.argv[1:]), file=sys.stderr)
    print("loss 0.5 and more, without an end", end="")
    json.dump([sys.argv, sys.executable, os.getcwd(), dict(os.environ)], open("seen.json", "w"))
"""


class TestCommandEvaluator(EvaluatorContract):
    space = optnas.ParameterSpace({"width": [1, 2, 3]})

    @pytest.fixture(autouse=True)
    def _script(self):
        write(
            """
            import random, sys
            width, rate, seed = sys.argv[1:]
            random.seed(int(seed))
            for epoch in range(3):
                print(f"loss {random.random() * int(width) * float(rate)}")
            """
        )

    @property
    def evaluator(self):
        return CommandEvaluator(
            f"{PYTHON} {{width}} {{rate}} {{seed}}",
            LOSS,
            suggest=lambda trial: {"rate": trial.suggest_float("rate", 0.1, 1)},
        )


def test_a_script_gets_its_arguments_and_both_outputs_are_read(tmp_path, capfd):
    write(ECHO)
    nasty = "$(touch hacked) '; \" {seed}"
    scores, curve = evaluate(
        PYTHON + " --x={a.b} '{a.b}' {seed} {device} {trial} {folder}",
        {**LOSS, "n": ("maximize", r'args (?:.*)"(\d)", "cpu"')},
        {"a.b": nasty},
        device="cpu",
    )
    assert scores == {"loss": 0.5, "n": 5}
    assert curve == [
        {"step": 0, "loss": 1, "n": 5},
        {"step": 1, "loss": 0.5},
    ]
    (_, *args), python, cwd, environment = json.loads(Path("seen.json").read_text())
    assert args[:5] == [f"--x={nasty}", nasty, "5", "cpu", "0"]
    assert Path(args[5]).is_absolute()
    assert not Path(args[5]).exists()  # it was a temporary one
    assert (python, cwd) == (sys.executable, str(tmp_path))
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert environment["PATH"].startswith(str(Path(sys.executable).parent))
    assert environment["OMP_NUM_THREADS"]
    assert not Path("hacked").exists()
    assert capfd.readouterr() == ("", "")


def test_a_training_is_ended_when_it_cannot_reach_the_front():
    write("print('loss 3 pid', __import__('os').getpid()); __import__('time').sleep(60)")
    seen = []

    def prune(step, scores):
        seen.append(int(scores["pid"]))
        raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        evaluate(
            scores={**LOSS, "pid": ("minimize", r"pid (\d+)")}, report=Report(listeners=[prune])
        )
    assert gone(*seen)


STUBBORN = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.close(1)  # a daemon, which nobody is the parent of
        open("daemon", "w").write(str(os.getpid()))
        time.sleep(60)
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    while not (os.path.exists("daemon") and open("daemon").read()):
        time.sleep(0.01)
    open("pids", "w").write(f"{os.getpid()} {child.pid} {open('daemon').read()}")
    print("loss 1", flush=True)
    while True:
        print("x" * 10_000)
"""


def pids():
    return [int(pid) for pid in Path("pids").read_text().split()]


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_script_that_ignores_signals_floods_and_forks_is_ended_with_all_its_children():
    write(STUBBORN)
    with pytest.raises(KeyboardInterrupt):
        evaluate(report=Report(listeners=[interrupted]))
    assert len(pids()) == 3
    assert all(map(gone, pids()))


def test_children_that_a_script_leaves_are_ended_and_its_score_counts():
    write(STUBBORN.replace("while True:", "if True:"))
    assert evaluate()[0] == {"loss": 1}
    assert all(map(gone, pids()))


def test_a_command_ends_with_a_process_that_is_killed():
    write(STUBBORN)
    code = f"""
        import subprocess, sys
        words = ["-P", {supervisor.__file__!r}, "0.2", sys.executable, "-S", "train.py"]
        words.insert(0, sys.executable)
        started = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=1, stderr=2)
        started.wait()
    """
    worker = subprocess.Popen(
        [sys.executable, "-S", "-c", textwrap.dedent(code)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert worker.stderr.readline() == b"loss 1\n"
    (started,) = psutil.Process(worker.pid).children()
    worker.kill()
    worker.communicate()
    assert gone(started.pid)
    assert all(map(gone, pids()))


def watching():
    """The supervisor of the command that this process runs."""
    (found,) = (p for p in psutil.Process().children() if supervisor.__file__ in p.cmdline())
    return found


def test_a_command_whose_supervisor_is_killed_is_ended():
    write(STUBBORN)

    def kill(*_):
        watching().kill()

    with pytest.raises(CommandError, match="ended together with the process that watched it"):
        evaluate(report=Report(listeners=[kill]))
    script, child, daemon = pids()
    assert gone(script)
    assert gone(child)
    psutil.Process(daemon).kill()  # the one that nobody can find any more


def test_a_retry_begins_when_the_command_of_the_killed_process_has_ended(tmp_path):
    write(
        """
        import os, signal, time
        if os.path.exists("first"):
            print("loss", os.path.exists(f"/proc/{open('first').read()}/cmdline"))
        else:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            open("first", "w").write(str(os.getpid()))
            print("ready", flush=True)
            time.sleep(60)
        """
    )
    words, folder = [sys.executable, "-S", "train.py"], tmp_path / "trial0"
    folder.mkdir()
    with process.CommandProcess(words, tmp_path, dict(os.environ), folder / run.LOCK) as killed:
        next(filter(None, killed.chunks()))
        killed._supervisor.stdin.close()  # as the system does for a process that is killed
        with pytest.raises(CommandError, match="matches 'False'"):
            evaluate(scores={"loss": ("minimize", "loss (.*)")}, report=Report(folder=folder))


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        (
            "import nothing_like_this",
            CommandError,
            "(?s)^ModuleNotFoundError: No .*: .*exit code 1; its output ends with:.*No module",
        ),
        ("raise SystemExit(3)", CommandError, "exit code 3; it printed nothing"),
        ("import os; os.kill(os.getpid(), 9)", CandidateError, "SIGKILL.* when memory runs out"),
        ("raise SystemExit(137)", CandidateError, "SIGKILL"),
        ("import os; os.abort()", CommandError, "ended by SIGABRT"),
        ("import os; os.kill(os.getpid(), 37)", CommandError, "by signal 37"),
        ("raise MemoryError", CandidateError, "out of memory: .*ended with: MemoryError"),
        ("raise Exception('CUDA out of memory')", CandidateError, "out of memory: "),
        ("print('\\x1b[1mval', 1)", CommandError, "(?s)ended well.*pattern of loss.*\n  val 1$"),
        ("print('loss', '1.2.3')", CommandError, "which is no number"),
        ("for n in range(9): print('loss', n)", CommandError, "more than 5 epochs"),
    ],
)
def test_a_script_that_fails_says_how(script, kind, message, monkeypatch, capfd):
    monkeypatch.setattr(run, "MOST", 5)
    write(script)
    with pytest.raises(kind, match=message) as caught:
        evaluate()
    assert str(caught.value).isprintable() or "\x1b" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_program_that_cannot_be_run_is_named():
    Path("plain.txt").touch()
    with pytest.raises(InputError, match=r"can't run 'no_such_program' \(No such .*give its path"):
        evaluate("no_such_program {seed}")
    with pytest.raises(InputError, match=r"can't run './no' \(No such.*relative paths begin in /"):
        evaluate("./no")
    Path("no_shell").write_text("#!/nowhere/sh\n")
    Path("no_shell").chmod(0o700)
    for name, reason in (("plain.txt", "Permission denied"), ("no_shell", "No such file")):
        with pytest.raises(InputError, match=rf"'./{name}' \({reason}.*begin the command with the"):
            evaluate(f"./{name}")
    with pytest.raises(InputError, match="zero byte"):
        evaluate("./plain.txt {x}", params={"x": "a\0b"})
    for command in ("python train.py", "python3 -u train.py {x}"):
        with pytest.raises(InputError, match=r"there is no train.py in .*`cwd`"):
            evaluate(command)
    CommandEvaluator("python -m module train.py", LOSS)
    with pytest.raises(InputError, match=r"\{n\}, of which this trial has no value"):
        evaluate("./plain.txt {n}")
    with pytest.raises(InputError, match="'seed', which is a placeholder of its own"):
        evaluate("./plain.txt {seed}", params={"seed": 1})


RESUMES = """
    import os, sys, time
    path = os.path.join(sys.argv[1], "epoch")
    first = int(open(path).read()) if os.path.exists(path) else 0
    print("begins with", first)
    for epoch in range(first, 5):
        with open(path + ".part", "w") as file:
            file.write(str(epoch + 1))
        os.replace(path + ".part", path)
        print(f"epoch {epoch}: loss {10 - epoch}")
        if epoch == 2 and first == 0:
            print("waiting", flush=True)
            time.sleep(60)
"""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scores": {}}, "at least one score"),
        ({"scores": {"loss": "loss (.*)"}}, "must be a direction and a pattern"),
        ({"scores": {"loss": ("least", "loss (.*)")}}, "must be a direction and a pattern"),
        ({"scores": {"step": ("minimize", "loss (.*)")}}, "can't be called 'step'"),
        ({"epoch": "first"}, "epoch must be last or best"),
        ({"suggest": {}}, "suggest must be a function"),
        ({"cwd": "nowhere"}, "cwd 'nowhere' is no folder"),
        ({"step": "step"}, "pattern of step must have one group"),
    ],
)
def test_settings_are_checked_where_they_are_given(settings, message):
    with pytest.raises(InputError, match=message):
        CommandEvaluator("true", **({"scores": LOSS} | settings))
    with pytest.raises(InputError, match="epochs=3: a command decides on its epochs itself"):
        CommandEvaluator("true", LOSS).configured(epochs=3)


@pytest.mark.parametrize("step", [None, r"epoch (\d+)"])
def test_the_retry_of_a_killed_trial_goes_on_from_its_folder(tmp_path, step):
    write(RESUMES)
    calls = []

    def die(number, scores):
        calls.append(number)
        if number == 2 and len(calls) == 3:
            raise KeyboardInterrupt

    for _ in range(2):
        report = Report(listeners=[die], folder=tmp_path / "trial0")
        with suppress(KeyboardInterrupt):
            scores, curve = evaluate(f"{PYTHON} {{folder}}", step=step, report=report)
    assert scores == {"loss": 6}
    assert {row["step"]: row["loss"] for row in curve} == {n: 10.0 - n for n in range(5)}
    log = (tmp_path / "trial0" / "output.log").read_text()
    assert log.startswith("begins with ")
    assert log.endswith("epoch 4: loss 6\n")


def test_a_retry_of_a_training_that_had_ended_is_run_again(tmp_path, caplog):
    """Its last scores may have been printed after its worker was killed."""
    write(
        """
        import os, sys
        path = sys.argv[1] + "/done"
        if not os.path.exists(path):
            open(path, "x").close()
            print("loss 2")
        """
    )
    for _ in range(2):
        report = Report(folder=tmp_path / "trial0")
        scores, curve = evaluate(f"{PYTHON} {{folder}}", report=report)
        assert (scores, curve) == ({"loss": 2}, [{"step": 0, "loss": 2}])
    assert "it is run again from the start" in caplog.text


def test_a_training_that_diverged_need_not_have_kept_weights():
    write("print('loss 1'); print('loss nan')")
    scores, _ = evaluate(weights="{folder}/model.pt")
    assert math.isnan(scores["loss"])
    assert evaluate(epoch="best")[0] == {"loss": 1}


def test_a_command_is_paused_while_a_latency_is_measured():
    write(
        """
        import os, time
        print("loss 2", flush=True)
        while not os.path.exists("measured"):
            time.sleep(0.01)
        print("loss 1")
        """
    )
    found = {}

    def measure():
        try:
            (script,) = watching().children()
            with exclusive(torch.device("cpu")) as undisturbed:
                found.update(undisturbed=undisturbed, status=script.status())
        finally:
            Path("measured").touch()

    thread = threading.Thread(target=measure)

    def begin(step, scores):
        if step == 0:
            thread.start()

    evaluator = CommandEvaluator(PYTHON, LOSS, device="cpu")
    with reporting(evaluator, "cpu", LINEAR, listeners=[begin]) as report:
        give_way = report.give_way
        evaluator.evaluate(LINEAR, evaluator.suggest(FixedTrial({})), report)
        assert report.give_way == give_way
    thread.join()
    assert found == {"undisturbed": True, "status": psutil.STATUS_STOPPED}
