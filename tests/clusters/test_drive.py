"""A run whose workers are on nodes of a cluster, which may be lost."""

import os
import signal
import threading
import time
from pathlib import Path

import hanging
import networks
import optuna
import pytest
import warm
from interrupts import interrupts_itself
from nodes import Nodes

import optnas
import optnas.clusters.drive
import optnas.clusters.node_worker
import optnas.study.leases
from optnas.errors import InputError, WorkerError
from optnas.study.record import Overrides

STUDY = """
import os, signal, time, torch, optnas
from pathlib import Path
from networks import build_linear

def first(name):
    try:
        Path(name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

def fit(model, recipe, report):
    print("printed by the study")
    exec(Path("body").read_text())
    return {"loss": 1.0 / sum(p.numel() for p in model.parameters())}

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(fit, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="random", trials=6, seed=3, device="cpu", weights=False,
)
"""
HOLD = """
Path(f"began{os.getpid()}").touch()
while os.path.exists("hold"):
    time.sleep(0.02)
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(optnas.clusters.drive, "POLL", 0.05)
    monkeypatch.setattr(optnas.clusters.node_worker, "POLL", 0.05)
    monkeypatch.setattr(optnas.clusters.node_worker, "Anew", lambda *_: warm.Workers())


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Writes a study file whose evaluator does something in addition, and loads it."""
    monkeypatch.syspath_prepend(str(Path(networks.__file__).parent))

    def load(body="pass"):
        (tmp_path / "cluster.py").write_text(STUDY)
        (tmp_path / "body").write_text(body)
        return optnas.load_search(tmp_path / "cluster.py")

    return load


def trials():
    study = optuna.load_study(study_name="cluster", storage="sqlite:///cluster.db")
    return study.get_trials(deepcopy=False)


def states():
    return [t.state.name for t in trials() if "surplus" not in t.user_attrs]


def until(condition):
    while not condition():
        time.sleep(0.01)


def when(condition, act):
    """Does something in a thread once a condition holds."""

    def wait():
        until(condition)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def begun():
    return len(list(Path().glob("began*")))


def test_workers_on_nodes_run_exactly_the_trials_asked_for(load, capsys):
    """There is room for one of them: the other one never begins."""
    cluster = Nodes(room=1)
    load().run(workers=2, on=cluster)
    assert states() == ["COMPLETE"] * 6
    assert cluster.need.workers == 2
    assert cluster.need.url.endswith("/cluster.db")
    assert cluster.workers.told == ["finish", "end"]
    err = capsys.readouterr().err
    assert "started: 2 threads" in err
    assert err.count("[6/6] trial") >= 1
    assert sum("] trial" in line for line in err.splitlines()) == 6
    trained = [t for t in trials() if "duplicate_of" not in t.user_attrs]
    (log,) = Path("cluster_logs").glob("*.log")
    assert log.read_text().count("printed by the study") == len(trained)


def test_a_worker_that_dies_is_started_again_on_its_node(load, capsys):
    cluster = Nodes()
    load('if first("died"): os.kill(os.getpid(), signal.SIGKILL)').run(workers=2, on=cluster)
    assert cluster.workers.started == 2
    assert states().count("COMPLETE") == 6
    (lost,) = [t for t in trials() if "lost" in t.user_attrs]
    assert f"repeating lost trials: {lost.number}" in capsys.readouterr().err
    logs = "".join(p.read_text() for p in Path("cluster_logs").glob("*.log"))
    assert "the worker died (SIGKILL); another one is started" in logs


def test_the_trial_of_a_lost_node_is_repeated_at_once(load, capsys, monkeypatch):
    """Of a machine of its own, whose lease would expire in five minutes."""
    monkeypatch.setattr(optnas.study.leases, "_host", lambda: "another machine")
    cluster = Nodes()
    Path("hold").touch()

    def lose():
        cluster.workers.lose("the machine is gone")
        # Else the other worker might be done before the run looks at this one.
        until(lambda: cluster.workers.started == 3)
        Path("hold").unlink()

    thread = when(lambda: begun() == 2, lose)
    load(HOLD).run(workers=2, on=cluster)
    thread.join()
    assert cluster.workers.started == 3
    assert states().count("COMPLETE") == 6
    assert "RUNNING" not in states()
    (lost,) = [t for t in trials() if "lost" in t.user_attrs]
    retries = [t for t in trials() if t.user_attrs.get("retry_of") == lost.number]
    assert [t.state.name for t in retries if "surplus" not in t.user_attrs] == ["COMPLETE"]
    assert "ended early: the machine is gone" in capsys.readouterr().err


def test_nodes_that_are_all_lost_end_the_run(load, monkeypatch):
    search = load("os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(optnas.clusters.drive, "MAX_DEATHS", 0)
    monkeypatch.setattr(optnas.clusters.node_worker, "MAX_DEATHS", 0)
    with pytest.raises(InputError, match=r"workers ended one after .*SIGKILL\).*cluster_logs"):
        search.run(workers=2, on=Nodes(), progress=False)


def test_a_mistake_in_the_code_ends_the_run_with_its_traceback(load):
    with pytest.raises(WorkerError, match=r"(?s)Traceback .*ZeroDivisionError"):
        load("1 / 0").run(workers=2, on=Nodes(), progress=False)
    assert set(states()) <= {"FAIL", "WAITING"}


@interrupts_itself
def test_the_first_ctrl_c_finishes_what_is_running(load):
    search = load(HOLD)
    cluster = Nodes()
    Path("hold").touch()

    def stop():
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: "finish" in cluster.workers.told)
        Path("hold").unlink()

    thread = when(lambda: begun() == 2, stop)
    with pytest.raises(KeyboardInterrupt):
        search.run(workers=2, on=cluster, progress=False)
    thread.join()
    assert states() == ["COMPLETE"] * 2


@interrupts_itself
def test_the_second_ctrl_c_queues_what_is_running_again(load):
    search = load(HOLD)
    cluster = Nodes()
    Path("hold").touch()

    def stop():
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: "finish" in cluster.workers.told)
        os.kill(os.getpid(), signal.SIGINT)

    thread = when(lambda: begun() == 2, stop)
    with pytest.raises(KeyboardInterrupt):
        search.run(workers=2, on=cluster, progress=False)
    thread.join()
    assert sorted(states()) == ["FAIL", "FAIL", "WAITING", "WAITING"]


def test_a_detached_run_leaves_its_workers_alone(load, capsys):
    cluster = Nodes(detach=True)
    load().run(workers=2, on=cluster)
    assert cluster.workers.told == []
    assert "2 threads: started, and left to the cluster" in capsys.readouterr().err
    for node in cluster.workers.nodes:
        node.thread.join()
    assert states() == ["COMPLETE"] * 6


def test_no_worker_begins_when_the_time_is_over(load):
    load().override(Overrides(hours=1e-9)).run(workers=2, on=Nodes(), progress=False)
    assert states() == []


def test_a_run_removes_its_own_empty_logs_alone(load):
    """A worker of another run of the study may write to the other one later."""
    search = load().override(Overrides(hours=1e-9))
    search.open()  # a study that is made later has other names
    logs = Path("cluster_logs")
    logs.mkdir()
    (logs / "node-worker1.log").touch()  # by the name that an earlier version gave it
    (logs / "node-1a2b3c4d-worker1.log").touch()
    search.run(workers=2, on=Nodes(), progress=False)
    names = [path.name for path in logs.iterdir()]
    assert sorted(names) == ["node-1a2b3c4d-worker1.log", "node-worker1.log"]


def test_a_worker_that_hangs_is_killed_and_its_trial_fails(load, monkeypatch):
    hanging.patch(monkeypatch)
    search = load(
        f'if first("hung"):{hanging.SAYS_SO}'
        "    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\n"
        "    time.sleep(600)"
    )
    search.override(Overrides(trial_timeout=600)).run(workers=2, on=Nodes(), progress=False)
    assert states().count("COMPLETE") == 6
    (failed,) = [t for t in trials() if "failure" in t.user_attrs]
    assert "hung for longer than" in failed.user_attrs["failure"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"file": "elsewhere.py"},
            "has no study file elsewhere.py: the nodes need the same folder",
        ),
        ({"url": "sqlite:////nowhere/a.db"}, "has no database /nowhere/a.db: the nodes need"),
    ],
)
def test_a_node_without_the_files_says_so(load, change, said, monkeypatch):
    import dataclasses

    start = optnas.clusters.drive.NodeJob

    def other(job, *settings):
        return start(dataclasses.replace(job, **change), *settings)

    monkeypatch.setattr(optnas.clusters.drive, "NodeJob", other)
    with pytest.raises(InputError, match=said):
        load().run(workers=2, on=Nodes(), progress=False)


def test_a_node_with_another_optnas_says_so(load, monkeypatch):
    monkeypatch.setattr(optnas.clusters.node_worker, "version", lambda _: "0.0.1")
    with pytest.raises(InputError, match=r"has optnas 0\.0\.1, and the run has .*install the same"):
        load().run(workers=2, on=Nodes(), progress=False)
