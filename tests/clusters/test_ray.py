"""Ray: what is asked of it, and a run on two nodes of which one is killed."""

import os
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import networks
import pytest
from optuna.trial import TrialState

import optnas
import optnas.clusters.ray
from optnas.clusters.base import Need
from optnas.errors import InputError
from optnas.runs.progress import number_counted

URL = "postgresql://user@server/studies"
FILE = "/studies/one/study.py"


class FakeRay:
    """A cluster that is only asked what it has."""

    def __init__(self, *nodes):
        self._nodes = nodes
        self.util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.1")
        self.asked = None

    def nodes(self):
        return [
            {"Alive": True, "NodeManagerAddress": address, "Resources": resources}
            for address, resources in self._nodes
        ]

    def remote(self, _):
        return SimpleNamespace(options=self.options)

    def options(self, **settings):
        self.asked = settings


def asked(cluster, need, *nodes):
    """What is asked for each worker, and the remark."""
    ray = FakeRay(*nodes)
    workers = cluster._workers(ray, need)
    return ray.asked["num_cpus"], ray.asked["num_gpus"], workers.remark


ONE = ("10.0.0.1", {"CPU": 8.0, "GPU": 2.0})
TWO = ("10.0.0.2", {"CPU": 8.0, "GPU": 2.0})
BARE = ("10.0.0.3", {"CPU": 2.0})


@pytest.mark.parametrize(
    ("cluster", "need", "gpus", "remark"),
    [
        (optnas.RayCluster(), Need(URL, FILE, 4), 1.0, ""),
        (optnas.RayCluster(), Need(URL, FILE, 2), 1.0, ""),
        (optnas.RayCluster(), Need(URL, FILE, 8), 0.5, ""),
        (optnas.RayCluster(), Need(URL, FILE, 12, threads=1), 0.3333, ""),
        (optnas.RayCluster(), Need(URL, FILE, 4, device="cpu"), 0.0, ""),
        (optnas.RayCluster(gpus_per_worker=0), Need(URL, FILE, 18), 0, ""),
        (
            optnas.RayCluster(gpus_per_worker=0.5),
            Need(URL, FILE, 9),
            0.5,
            "room for 8 of 9 workers",
        ),
        (optnas.RayCluster(gpus_per_worker=2), Need(URL, FILE, 3), 2, "room for 2 of 3 workers"),
    ],
)
def test_gpus_are_shared(cluster, need, gpus, remark):
    cpus, found, said = asked(cluster, need, ONE, TWO, BARE)
    assert (cpus, found) == (need.threads, gpus)
    assert remark in said
    assert bool(remark) == bool(said)


def test_a_worker_that_fits_on_no_node_is_refused():
    with pytest.raises(InputError, match=r"gpus_per_worker=3`: no node .*\(2, 2, 0\)"):
        asked(optnas.RayCluster(gpus_per_worker=3), Need(URL, FILE, 2), ONE, TWO, BARE)


@pytest.mark.parametrize("value", [-0.5, 1.5, float("nan")])
def test_shares_that_ray_has_not_are_refused(value):
    with pytest.raises(InputError, match=r"gpus_per_worker=.*must be a share of one GPU"):
        optnas.RayCluster(gpus_per_worker=value)


def test_sqlite_is_for_nodes_of_this_machine_alone():
    need = Need("sqlite:///study.db", FILE, 2)
    assert asked(optnas.RayCluster(), need, ONE, ONE)
    for cluster, nodes in (
        (optnas.RayCluster(), (ONE, TWO)),
        (optnas.RayCluster("ray://10.0.0.1:10001"), (ONE,)),
    ):
        with pytest.raises(InputError, match=r"SQLite isn't safe: give the URL of a PostgreSQL"):
            asked(cluster, need, *nodes)


def test_the_study_file_lies_in_the_folder_that_is_copied(tmp_path):
    inside, above = Need(URL, str(tmp_path / "one/study.py"), 2), Need(URL, FILE, 2)
    cluster = optnas.RayCluster(working_dir=tmp_path)
    assert cluster._workers(FakeRay(ONE), inside)._file == "one/study.py"
    with pytest.raises(InputError, match=f"study.py isn't in the working_dir {tmp_path}: give"):
        asked(cluster, above, ONE)


def test_the_lack_of_ray_is_told(monkeypatch, search):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'optnas\[ray\]'"):
        optnas.RayCluster().connect(Need(URL, FILE, 2)).__enter__()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "[::1]:1"])
def test_an_address_where_nothing_answers_is_told(address, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(InputError, match=r"no Ray cluster answers at .*`ray start`"):
        optnas.RayCluster(address).connect(Need(URL, FILE, 2)).__enter__()


def test_a_cluster_that_refuses_is_told(monkeypatch):
    def init(address, **_):
        raise ConnectionError(f"nothing of Ray's at {address}")

    fake = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setitem(sys.modules, "ray", fake)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(InputError, match=f"Ray says: nothing of Ray's at {address}"):
            optnas.RayCluster(address).connect(Need(URL, FILE, 2)).__enter__()


STUDY = """
import time, torch, optnas
from networks import build_linear

def fit(model, recipe, report):
    print("printed by the study")
    time.sleep(0.2)
    return {"loss": 1.0 / sum(p.numel() for p in model.parameters())}

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(fit, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="random", trials=12, seed=3, device="cpu", weights=False,
)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_a_node_that_is_killed_costs_no_trial(tmp_path, monkeypatch, capsys):
    ray = pytest.importorskip("ray")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    helpers = str(Path(networks.__file__).parent)
    monkeypatch.syspath_prepend(helpers)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("TMPDIR", "/tmp")  # a socket's path is short
    (tmp_path / "nodes.py").write_text(STUDY)
    settings = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    nodes = cluster_utils.Cluster(
        initialize_head=True, head_node_args=settings | {"include_dashboard": False}
    )
    try:
        lost = nodes.add_node(**settings)
        search = optnas.load_search(tmp_path / "nodes.py")
        study = search.open()

        def kill():
            while number_counted(study) < 4:
                time.sleep(0.05)
            nodes.remove_node(lost, allow_graceful=False)

        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        search.run(workers=2, on=optnas.RayCluster(nodes.address))
        thread.join()
    finally:
        ray.shutdown()
        nodes.shutdown()
    states = [t.state for t in study.trials if "surplus" not in t.user_attrs]
    assert states.count(TrialState.COMPLETE) == 12
    assert TrialState.RUNNING not in states
    err = capsys.readouterr().err
    assert "started: 2 workers on Ray" in err
    logs = "".join(path.read_text() for path in Path("nodes_logs").glob("ray-*.log"))
    assert "printed by the study" in logs
