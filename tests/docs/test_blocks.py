"""The Python code of every page runs, from its first block to its last."""

import subprocess
import sys

import pytest
from pages import PAGES, ROOT, code, name

from optnas.samplers import startup

WITH_CODE = {name(page): code(page) for page in PAGES if code(page)}
WITH_TESTS = {page for page, code in WITH_CODE.items() if "optnas.testing" in code}
SLOW = {"docs/take-home.md"}


def of(pages):
    return [pytest.param(p, marks=[pytest.mark.slow] if p in SLOW else []) for p in sorted(pages)]


@pytest.fixture
def _less_work(monkeypatch):
    """Of the digits one in four, and fewer networks of which the first trials are chosen."""
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    monkeypatch.setattr(datasets, "load_digits", lambda **_: (images[::4], labels[::4]))
    monkeypatch.setattr(startup, "SAMPLE", 12)


@pytest.mark.usefixtures("_less_work")
@pytest.mark.parametrize("page", of(set(WITH_CODE) - WITH_TESTS))
def test_blocks_run(page, capsys, monkeypatch):
    # dataclasses and pickle look their module up by name.
    module = type(sys)("page")
    monkeypatch.setitem(sys.modules, "page", module)
    exec(compile(WITH_CODE[page], str(ROOT / page), "exec"), module.__dict__)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(WITH_TESTS))
def test_contracts_run_outside_of_the_checkout(page, tmp_path):
    """As a person runs them who has installed optnas, without what conftest.py sets here."""
    (tmp_path / "test_page.py").write_text(WITH_CODE[page])
    options = ["-q", "-W", "error", "-W", "ignore::optuna.exceptions.ExperimentalWarning"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", "test_page.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(done.stdout.split(" passed")[0].split()[-1])
    assert passed > 30, done.stdout
