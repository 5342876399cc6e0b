"""A signal before a run's first trial ends it at once, with the code that it has later, too."""

import signal
from pathlib import Path

import pytest

STUDY = (Path(__file__).parents[1] / "helpers" / "study_tiny.py").read_text()
RAISED = "\nimport signal\nsignal.raise_signal(signal.{})\n"
CODES = [("SIGINT", 3), ("SIGTERM", 143), ("SIGHUP", 143)]


@pytest.mark.parametrize(("name", "code"), CODES)
def test_while_the_study_file_is_loaded(optnas, tmp_path, name, code):
    (tmp_path / "tiny.py").write_text(STUDY + RAISED.format(name))
    found, out, err = optnas("run", "tiny.py")
    assert (found, out) == (code, "")
    assert "optnas: interrupted" in err
    assert not (tmp_path / "tiny.db").exists()


@pytest.mark.parametrize(("name", "code"), CODES)
def test_while_the_study_is_opened(optnas, tmp_path, monkeypatch, name, code):
    (tmp_path / "tiny.py").write_text(STUDY)
    monkeypatch.setattr(
        "optnas.search.open.open_study",
        lambda *args, **settings: signal.raise_signal(getattr(signal, name)),
    )
    assert optnas("run", "tiny.py")[0] == code


def test_a_command_that_runs_no_trials_ends_with_the_code_of_its_signal(optnas, tmp_path):
    (tmp_path / "tiny.py").write_text(STUDY + RAISED.format("SIGINT"))
    assert optnas("status", "tiny.py")[0] == 130


@pytest.mark.parametrize(("name", "code"), CODES)
def test_while_the_end_is_printed(optnas, tmp_path, monkeypatch, name, code):
    (tmp_path / "tiny.py").write_text(STUDY)
    monkeypatch.setattr(
        "optnas.cli.run_summary.show_end",
        lambda *args: signal.raise_signal(getattr(signal, name)),
    )
    assert optnas("run", "tiny.py", "--trials", 1)[0] == code
