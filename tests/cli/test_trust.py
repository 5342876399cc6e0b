"""A database is data from somebody else: what it names isn't imported on its word alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

STUDY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"
URL = "sqlite:///box/tiny.db"
LOOKING = (
    ["status", URL],
    ["pareto", URL],
    ["pareto", URL, "--html", "f.html"],
    ["pick", URL],
    ["compare", URL, "box/tiny.db"],
    ["report", URL],
    ["report", "box/tiny.db"],
    ["backup", URL, "copy.db"],
    ["storage", "copy", URL, "sqlite:///copied.db"],
)
USING = (
    ["measure", URL],
    ["retrain", URL, "--trial", 0],
    ["export", URL, "--trial", 0],
    ["confirm", URL, "--seeds", 1],
    ["resume", URL, "--trials", 5],
    ["run", URL, "--trials", 5],
)


@pytest.fixture(autouse=True)
def box(optnas, tmp_path, monkeypatch):
    """A study and its file in one folder, from somebody else; the file says when it is imported."""
    folder = tmp_path / "box"
    folder.mkdir()
    shutil.copyfile(STUDY, folder / "tiny.py")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "of somebody else"))
    assert optnas("run", "box/tiny.py")[0] == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    code = f"import pathlib\npathlib.Path({str(tmp_path / 'RUN')!r}).touch()\n"
    (folder / "tiny.py").write_text(code + STUDY.read_text())
    return folder


def test_looking_at_a_database_runs_no_code(optnas, tmp_path):
    for command in LOOKING:
        assert optnas(*command)[0] == 0, command
    assert not (tmp_path / "RUN").exists()
    code, _, err = optnas("report", URL, "--file", "box/tiny.py")
    assert (code, err) == (0, "")
    assert (tmp_path / "RUN").exists()


def test_looking_at_a_database_needs_no_torch():
    """It takes seconds to import."""
    commands = [["optnas", *command] for command in (*LOOKING, ["status", "box"])]
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from optnas.cli import main\n"
        f"for sys.argv in {commands}:\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, sys.argv\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment())
    assert done.returncode == 0, done.stderr.decode()


def test_using_a_database_asks_for_a_file_that_the_user_has_not_named(optnas, tmp_path, box):
    for command in USING:
        code, out, err = optnas(*command)
        assert (code, out) == (2, ""), command
        assert f"the database names the study file {box}/tiny.py, which you haven't used" in err
        assert "--trust" in err
    assert not (tmp_path / "RUN").exists()
    assert optnas("measure", URL, "--trust")[0] == 0
    assert optnas("measure", URL)[0] == 0  # the user has said yes
    (tmp_path / "link").symlink_to(box)
    assert optnas("measure", "link/tiny.py")[0] == 0


def test_a_file_that_the_user_gives_is_known_from_then_on(optnas):
    assert optnas("measure", URL, "--file", "box/tiny.py")[0] == 0
    code, _, err = optnas("resume", URL, "--trials", 5)
    assert code == 0, err


def test_a_home_that_cannot_be_written_only_asks_again(optnas, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")
    assert optnas("measure", URL, "--trust")[0] == 0
    assert "haven't used before" in optnas("measure", URL)[2]


def test_an_option_for_a_storage_is_refused_with_a_study_file(optnas):
    for command in (["run"], ["report"], ["dashboard"], ["measure"]):
        code, _, err = optnas(*command, "box/tiny.py", "--file", "box/tiny.py")
        assert (code, "leave out --file" in err) == (2, True)
