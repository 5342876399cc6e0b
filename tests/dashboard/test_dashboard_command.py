"""`optnas dashboard`, the command."""

import signal
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from command_line import start
from dashboards import drawable, figures, note
from warm import Command

from optnas.pareto.front import front
from optnas.storage.open import close_storage, open_storage

STUDY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"


@contextmanager
def ended(process):
    """The address that `optnas dashboard` prints; in the end it stops with no error."""
    try:
        yield process.stdout.readline().split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_the_command_publishes_in_the_background(optnas, tmp_path):
    """Of a study whose file isn't given there are figures and notes."""
    (tmp_path / "tiny.py").write_text(STUDY.read_text())
    assert optnas("run", "tiny.py")[0] == 0
    study = optuna.load_study(study_name="tiny", storage=open_storage("sqlite:///tiny.db"))
    process = Command("dashboard", "sqlite:///tiny.db", "--port", 0)
    with ended(process) as url:
        assert url.endswith(f"/dashboard/studies/{study._study_id}")
        assert process.stderr.readline().startswith("no drawings and no ONNX files: looking at")
        while not all(note(study, t) for t in front(study)):
            assert process.wait(0.1) is None
    assert figures(study).keys() == drawable(study)
    close_storage(study._storage)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how root is bound is Linux's")
def test_the_command_on_what_can_only_be_read(optnas, tmp_path):
    from privileges import without_privileges

    (tmp_path / "tiny.py").write_text(STUDY.read_text())
    assert optnas("run", "tiny.py")[0] == 0
    tmp_path.chmod(0o500)
    try:
        process = start("dashboard", "tiny.py", "--port", 0, preexec_fn=without_privileges)
        with ended(process) as url:
            found = urllib.request.urlopen(url.replace("/dashboard/", "/api/")).read().decode()
            assert "weights.safetensors" in found
            assert "is read-only" in process.stderr.readline()
    finally:
        tmp_path.chmod(0o700)
