import gc
import importlib
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import chance
import joblib
import optuna
import pytest
import torch
import warm
from command_line import exit_code
from databases import BaseModel, copying, make_template
from hypothesis import settings
from leftovers import VARIABLE, Watcher
from networks import build_linear, score
from optuna.storages._rdb.storage import _VersionManager
from threadpoolctl import threadpool_limits
from turns import turn
from xdist.scheduler import LoadScopeScheduling

import optnas
import optnas.metrics.latency
import optnas.runs.worker_process
from optnas.evaluators import FunctionEvaluator
from optnas.metrics.timing import time_passes
from optnas.search_spaces import FunctionSpace

# The same examples at every run, and no clock that decides.
settings.register_profile("optnas", derandomize=True, deadline=None, database=None)
settings.load_profile("optnas")

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
MOST_WORKERS = 8
"""Many tests start processes of their own; more workers than this would disturb each other."""
ONE_WORKER = {
    "tests/samplers/test_processes.py": "processes",
    "tests/study/test_odd_studies.py": "odd studies",
    "tests/dashboard/test_dashboard_in_browser.py": "browser",
    "tests/plots/test_figures_in_browser.py": "browser",
    "tests/report/test_report_in_browser.py": "browser",
}
"""Files whose tests run in one worker, because what they share takes long to make; its name."""
WATCHER = pytest.StashKey[Watcher]()


class Schedule(LoadScopeScheduling):
    """Gives a worker the next test, or all tests that are to be run by one."""

    def _split_scope(self, nodeid):
        return ONE_WORKER.get(nodeid.partition("::")[0], nodeid)


def pytest_xdist_make_scheduler(config, log):
    """Not xdist's own groups, which need a pytest before 9.2."""
    return Schedule(config, log)


def pytest_xdist_auto_num_workers():
    """One worker more than this process may use CPUs: a quarter of the time tests only wait."""
    return min(joblib.cpu_count() + 1, MOST_WORKERS)


def pytest_configure(config):
    # To look through all that was imported, again and again, takes a tenth of the time.
    gc.set_threshold(10_000, 10, 10)
    # Threads of numpy's and scipy's BLAS wait by spinning: with two of them on a machine that has
    # something else to do, small matrices take ten times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of processes that are started, too
    threadpool_limits(1, user_api="blas")
    chance.fix()
    if not IS_WORKER:
        config.stash[WATCHER] = Watcher(grace=60.0)


def pytest_unconfigure(config):
    warm.end()
    watcher = config.stash.get(WATCHER, None)
    if watcher is not None and (commands := watcher.end()):
        raise pytest.UsageError("processes were left after the tests: " + "; ".join(commands))


def pytest_collection(session):
    """Each worker imports other files first: it finds those of the others compiled.

    All would compile the same file at the same time, and rewrite its assertions.
    """
    if IS_WORKER:
        folders = [Path(argument).absolute() for argument in session.config.args]
        files = sorted(file for folder in folders for file in folder.rglob("test_*.py"))
        number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        first = len(files) * number // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        for file in files[first:] + files[:first]:
            sys.path.insert(0, str(file.parent))
            with suppress(Exception, pytest.skip.Exception):  # it is raised again when it counts
                importlib.import_module(file.stem)
            sys.path.remove(str(file.parent))


def pytest_collection_modifyitems(items):
    """What takes long begins first, so that no worker waits for another one in the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish():
    """A collection of garbage, half a second before, looks at what tests make alone."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    exclusive = item.get_closest_marker("exclusive") is not None
    with turn(exclusive=exclusive), chance.drawn_for(item.nodeid):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    if fixturedef.scope == "function":
        return (yield)
    with chance.drawn_for(f"{fixturedef.baseid}::{fixturedef.argname}"):
        return (yield)


def forget_modules_of(folders):
    """The next test's `import model` finds its own file, not that of a test before it."""
    within = tuple(os.path.join(folder, "") for folder in folders if folder)
    if not within:  # mostly so, and thousands of modules are imported
        return
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None)).startswith(within):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _quiet_and_alone(tmp_path, tmp_path_factory, monkeypatch):
    """Every test runs in a folder of its own, on one thread; locks of devices lie there too."""
    monkeypatch.chdir(tmp_path)
    path = {*sys.path}
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which study files add their folders
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.getbasetemp()))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "settings"))
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.getbasetemp()))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    yield
    forget_modules_of({*sys.path} - path)


@pytest.fixture(autouse=True)
def _warm_workers(monkeypatch):
    """A run in a process of its own has its own server, as a user's run has."""
    monkeypatch.setattr(optnas.runs.worker_process, "starter", lambda *_: warm.Workers())


@pytest.fixture(autouse=True)
def _short_measurements(request, monkeypatch):
    """A latency takes the fewest blocks of passes, unless the test is about the time itself."""
    if request.node.get_closest_marker("exclusive") is None:
        monkeypatch.setattr(
            optnas.metrics.latency,
            "time_passes",
            lambda one_pass, error, seconds: time_passes(one_pass, error, min(seconds, 0.01)),
        )


@pytest.fixture(scope="session")
def database_template(tmp_path_factory):
    """A new database, and the version of its tables."""
    path = tmp_path_factory.mktemp("template") / "new.db"
    return path, make_template(path)


@pytest.fixture(autouse=True)
def _databases(request, monkeypatch):
    """New SQLite databases are copied, except where a test is about their making.

    The newest version of the tables is found once: Optuna imports eleven files for it whenever it
    opens a database, which is three quarters of the time that this takes.
    """
    if request.node.get_closest_marker("makes_databases") is None:
        template, newest = request.getfixturevalue("database_template")
        monkeypatch.setattr(BaseModel.metadata, "create_all", copying(template))
        monkeypatch.setattr(_VersionManager, "get_head_version", lambda _: newest)


@pytest.fixture
def space():
    return FunctionSpace(build_linear, torch.zeros(1, 2))


@pytest.fixture
def evaluator():
    return FunctionEvaluator(score, {"loss": "minimize"})


@pytest.fixture
def search(space, evaluator):
    return optnas.Search(
        space=space,
        evaluator=evaluator,
        objectives=("loss", "params"),
        sampler="random",
        trials=6,
        seed=1,
        name="tiny",
    )


@pytest.fixture(name="optnas")
def command_line(capsys):
    """Runs a command in this process: exit code, standard output, standard error."""

    def call(*args):
        code = exit_code(args)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a PostgreSQL server of this session; skips where none is installed."""
    from common import postgres  # not above: study files import this module

    with postgres.server(f"{os.environ[VARIABLE]}-") as server:
        if server is None:
            pytest.skip("no PostgreSQL is installed here")
        yield server.url


@pytest.fixture(scope="session")
def tab():
    """A headless Chromium of this session, and its only page; skips where none is installed.

    A page of its own for each test would take four times as long: a window, a process, and what it
    compiles.
    """
    import browser  # not above: study files import this module

    with browser.launched() as found:
        if found is None:
            pytest.skip("no Chromium is installed here")
        yield found.new_page()


@pytest.fixture
def page(tab):
    """A page that fails the test if it has an error, or asks for anything but what is local."""
    import browser

    with browser.watched(tab) as found:
        yield found


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    """Where tests write the page that they open: Chromium keeps what it compiled by URL."""
    return tmp_path_factory.mktemp("page") / "page.html"
