import tempfile

import optuna
import pytest
import torch
from command_line import exit_code
from hypothesis import settings
from networks import build_linear, score

import optnas
from optnas.evaluators import FunctionEvaluator
from optnas.search_spaces import FunctionSpace

# The same examples at every run, and no clock that decides.
settings.register_profile("optnas", derandomize=True, deadline=None, database=None)
settings.load_profile("optnas")


@pytest.fixture(autouse=True)
def _quiet_and_alone(tmp_path, tmp_path_factory, monkeypatch):
    """Every test runs in a folder of its own, on one thread; locks of devices lie there too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.getbasetemp()))
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.getbasetemp()))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)


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
    import postgres  # not above: study files import this module

    with postgres.server() as server:
        if server is None:
            pytest.skip("no PostgreSQL is installed here")
        yield server.url


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium of this session; skips where none is installed."""
    import browser  # not above: study files import this module

    with browser.launched() as found:
        if found is None:
            pytest.skip("no Chromium is installed here")
        yield found


@pytest.fixture
def page(chromium):
    """A page that fails the test if it has an error, or asks for anything but what is local."""
    import browser

    with browser.watched_page(chromium) as found:
        yield found
