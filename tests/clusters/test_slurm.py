"""SLURM: its settings, what is submitted, and what becomes of the jobs.

SLURM's commands are scripts here, which keep what they are called with.
"""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import networks
import optuna
import pytest
import warm

import optnas
import optnas.clusters.node_worker
import optnas.clusters.slurm_jobs
import optnas.clusters.slurm_node
from optnas.clusters.base import Need, NodeJob
from optnas.clusters.slurm_jobs import SlurmJobs
from optnas.clusters.slurm_node import SlurmNode
from optnas.errors import InputError
from optnas.runs.worker_process import Job

NEED = Need("postgresql://user:secret@server/studies", "study.py", workers=3, threads=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("partition", "must be KEY=VALUE"),
        ("partition=", "must be KEY=VALUE"),
        ("partitoin=gpu", "has no key 'partitoin'.*partition"),
        ("gpus=1,gpus=2", "gives gpus twice"),
        ("gpus=one", "gpus must be a whole number of at least 0, got 'one'"),
        ("gpus=-1", "gpus must be a whole number of at least 0, got '-1'"),
        ("time=4", "time must be 90m, 4h or 2d, say, and at least 5m, got '4'"),
        ("time=1m", "at least 5m, got '1m'"),
        ("mem=16", "mem must be 16GB or 800MB, say, got '16'"),
        ("cluster=debug", "cluster must be slurm or local, got 'debug'"),
        ("detach=1", "has no key 'detach'"),
    ],
)
def test_wrong_settings_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        optnas.SlurmCluster.of_text(text)


def test_a_value_may_have_commas():
    found = optnas.SlurmCluster.of_text("partition=gpu,exclude=node1,node[3-5],time=2d,gpus=1")
    same = optnas.SlurmCluster(partition="gpu", exclude="node1,node[3-5]", time="2d", gpus=1)
    assert found == same
    assert optnas.SlurmCluster.of_text("") == optnas.SlurmCluster()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "sqlite:///study.db",
            "an SQLite file, and the nodes of SLURM are other machines.*journal",
        ),
        ("postgresql://localhost/x", "means each node's own machine"),
        ("postgresql:///x", "means each node's own machine"),
        ("grpc://127.0.0.1:13000", "means each node's own machine"),
        ("journal:///study.journal", "sbatch, srun, squeue can't be found: .*cluster=local"),
        (NEED.url, "sbatch, srun, squeue can't be found"),
    ],
)
def test_storages_that_other_machines_do_not_reach_are_refused(url, said, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(InputError, match=said),
        optnas.SlurmCluster().connect(Need(url, "study.py", 2)),
    ):
        pass


def test_the_lack_of_submitit_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"pip install 'optnas\[slurm\]'"):
        optnas.SlurmCluster().connect(NEED).__enter__()


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Scripts in place of SLURM's commands; `squeue` prints the file `queue`."""
    pytest.importorskip("submitit")
    bodies = {
        "srun": "",
        "sbatch": f'cp "$1" {tmp_path}/submitted; cat {tmp_path}/says',
        "squeue": f"cat {tmp_path}/queue",
        "scancel": f'echo "$@" >> {tmp_path}/cancelled',
    }
    (tmp_path / "bin").mkdir()
    for name, body in bodies.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(optnas.clusters.slurm_jobs, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(optnas.clusters.slurm_jobs, "LATE", 0.0)
    monkeypatch.setattr(optnas.clusters.slurm_jobs, "PATIENCE", 0.1)
    monkeypatch.setattr(optnas.clusters.slurm_jobs, "END_POLL", 0.05)
    (tmp_path / "says").write_text("Submitted batch job 7\n")
    return tmp_path


def node_jobs(number):
    job = Job("study.py", NEED.url, "study", {}, accept_changes=False)
    return [NodeJob(job, index) for index in range(number)]


def test_a_job_array_is_submitted_and_watched(commands):
    cluster = optnas.SlurmCluster(
        partition="gpu", time="90m", gpus=1, mem="16GB", reservation="mine", exclude="a,b"
    )
    first, second, third = node_jobs(3)
    with cluster.connect(NEED) as jobs:
        assert jobs.start([first, second, third], "logs") == "SLURM job 7 with 3 workers"
        script = (commands / "submitted").read_text()
        wanted = {
            "--array=0-2%3",
            "--partition=gpu",
            "--time=90",
            "--gpus-per-node=1",
            "--cpus-per-task=2",
            "--mem=16GB",
            "--reservation=mine",
            "--exclude=a,b",
            "--requeue",
            "--signal=USR2@90",
        }
        assert wanted <= {line.removeprefix("#SBATCH ") for line in script.splitlines()}
        (folder,) = Path("logs").iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700  # the password is in there
        (commands / "queue").write_text("7_0 PENDING\n7_1 RUNNING\n7_2 COMPLETING\n8 FAILED\n")
        assert jobs.ended() == []
        jobs.finish()
        assert (commands / "cancelled").read_text() == "-t PENDING 7_0 7_1 7_2\n"
        (commands / "queue").write_text("7_0 CANCELLED\n7_1 NODE_FAIL\n7_2 REQUEUED\n")
        ended = {job.index: ending for job, ending in jobs.ended()}
        assert ended.keys() == {0, 1}
        assert ended[0].is_cancelled
        assert not ended[1].is_cancelled
        assert ended[1].why == "its job 7_1 ended without a result (NODE_FAIL)"
        (commands / "queue").write_text("")
        ((job, ending),) = jobs.ended()
        assert job == third
        assert "ended without a result (gone from SLURM's queue)" in ending.why
        jobs.end()
        assert not list(folder.glob("*.pkl"))
        assert list(folder.iterdir())  # something was wrong: the rest is kept


def test_all_jobs_are_cancelled_at_the_end(commands):
    (commands / "queue").write_text("7_0 RUNNING\n7_1 RUNNING\n")
    with optnas.SlurmCluster().connect(NEED) as jobs:
        jobs.start(node_jobs(2), "logs")
        jobs.end()
    assert (commands / "cancelled").read_text() == "7_0 7_1\n"
    assert not list(Path("logs").iterdir())


def test_what_sbatch_refuses_is_told(commands):
    (commands / "bin" / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition specified: nope' >&2\nexit 1\n"
    )
    with (
        optnas.SlurmCluster(partition="nope").connect(NEED) as jobs,
        pytest.raises(InputError, match=r"takes no jobs of this run: invalid partition .*nope; ch"),
    ):
        jobs.start(node_jobs(2), "logs")


STUDY = """
import os, time, torch, optnas
from pathlib import Path
from networks import build_linear

def fit(model, recipe, report):
    Path("began").touch()
    while os.path.exists("hold"):
        time.sleep(0.02)
    return {"loss": 1.0 / sum(p.numel() for p in model.parameters())}

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(fit, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="random", trials=2, seed=3, device="cpu", weights=False,
)
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """What a node is told to do: a study with a trial that lasts as long as there is `hold`."""
    helpers = str(Path(networks.__file__).parent)
    monkeypatch.syspath_prepend(helpers)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (tmp_path / "held.py").write_text(STUDY)
    Path("hold").touch()
    Path("logs").mkdir()
    search = optnas.load_search(tmp_path / "held.py")
    search.open()
    url = search.location.absolute_url
    file = str(tmp_path / "held.py")
    return NodeJob(Job(file, url, "held", {}, False, folder=str(tmp_path), worker="w"), index=0)


def states():
    study = optuna.load_study(study_name="held", storage="sqlite:///held.db")
    return sorted(t.state.name for t in study.trials)


@pytest.fixture
def node(job, tmp_path, monkeypatch):
    monkeypatch.setattr(optnas.clusters.slurm_node, "GRACE", 0.05)
    monkeypatch.setattr(optnas.clusters.node_worker, "POLL", 0.05)
    monkeypatch.setattr(optnas.clusters.node_worker, "Anew", lambda *_: warm.Workers())
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)}
    yield SlurmNode(job, str(tmp_path), "logs")
    for number, handler in handlers.items():
        signal.signal(number, handler)


def send(number):
    """Sends this process a signal once a trial runs."""

    def wait():
        while not Path("began").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGUSR1])
def test_a_job_is_requeued_before_its_time_is_over(node, number):
    """As submitit does it: it calls `checkpoint`, and ends the process."""
    again = []

    def requeue(_signal, _frame):
        again.append(node.checkpoint())
        raise SystemExit(1)

    pytest.importorskip("submitit")
    signal.signal(signal.SIGUSR2, requeue)
    send(number)
    with pytest.raises(SystemExit):
        node()
    assert states() == ["FAIL", "WAITING"]  # it is queued again already
    Path("hold").unlink()
    again[0].function()
    assert states() == ["COMPLETE", "COMPLETE", "FAIL"]


def test_a_job_that_is_pre_empted_waits_until_slurm_kills_it(node, monkeypatch):
    """Otherwise SLURM takes it for done, and doesn't requeue it."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    queued = []

    def end():
        while "WAITING" not in states():
            time.sleep(0.01)
        queued.extend(states())
        Path("end").touch()  # the run wants it to end: it needn't wait

    threading.Thread(target=end, daemon=True).start()
    send(signal.SIGTERM)
    node()
    assert queued == ["FAIL", "WAITING"]


def test_a_job_that_begins_after_the_run_has_ended_does_nothing(node):
    Path("finish").touch()
    assert not node().error
    assert states() == []


@pytest.mark.slow
def test_a_job_that_is_killed_by_submitit_s_local_executor(job):
    """The worker sees that the job is gone, and queues its trial again."""
    pytest.importorskip("submitit")
    parameters = {"timeout_min": 10, "slurm_partition": "of no use here"}
    jobs = SlurmJobs("local", parameters)
    try:
        assert jobs.start([job], "logs") == "1 worker on this machine, by submitit"
        while not Path("began").exists():
            assert not jobs.ended()
            time.sleep(0.1)
        (pid,) = jobs._jobs
        task = subprocess.run(["pgrep", "-P", pid], capture_output=True, text=True, check=True)
        os.kill(int(task.stdout), signal.SIGKILL)
        while not (ended := jobs.ended()):
            time.sleep(0.1)
        assert ended[0][1].why
        while states() != ["FAIL", "WAITING"]:
            time.sleep(0.1)
    finally:
        jobs.end()
