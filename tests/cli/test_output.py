"""Output that can't be written, or that would control a terminal."""

import errno
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from command_line import environment

from optnas.cli.output import lasting_output
from optnas.utils.terminal import visible

TINY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"
EVIL = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b1mname\u202e"


def command(*args, redirect):
    """A command whose output a shell redirects: exit code, and what it said."""
    line = f'"$0" -m optnas "$@" {redirect}'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, sys.executable, *args],
        env=environment(),
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_run_whose_output_cannot_be_written_ends_and_says_so():
    study = Path(__file__).parents[1] / "helpers" / "study_tiny.py"
    shutil.copyfile(study, "tiny.py")
    code, text = command("run", "tiny.py", redirect=">/dev/full")
    assert (code, "Traceback" in text, "[4/4] trial 3" in text) == (1, False, True)
    assert "output can't be written (No space left on device); what the command did is kept" in text
    assert Path("tiny_front.html").exists()
    code, text = command("run", "tiny.py", "--trials", "6", redirect=">&- 2>&-")
    assert (code, text) == (0, "")
    assert len(optuna.load_study(study_name="tiny", storage="sqlite:///tiny.db").trials) == 6
    code, text = command("status", "tiny.db", redirect="| true")
    assert (code, text) == (0, "")


@pytest.mark.parametrize(("lost", "code"), [(errno.EPIPE, 0), (errno.ENOSPC, 1), (errno.EIO, 1)])
@pytest.mark.parametrize("unbuffered", [False, True])
def test_only_a_reader_that_left_is_no_failure(
    monkeypatch, tmp_path, capsys, lost, code, unbuffered
):
    import io

    class Failing(io.FileIO):
        def write(self, data):
            raise OSError(lost, "lost")

    raw = Failing(tmp_path / "out", "w")
    stream = io.TextIOWrapper(raw if unbuffered else io.BufferedWriter(raw))
    monkeypatch.setattr(sys, "stdout", stream)
    ended = 0
    try:
        with lasting_output():
            for _ in range(10_000):
                print("as much as no buffer holds")
            raise SystemExit(0)
    except SystemExit as end:
        ended = end.code
    assert ended == code
    assert sys.stdout is stream
    with suppress(SystemExit), lasting_output():
        print("x")
        raise SystemExit(2)
    assert capsys.readouterr().err.count("optnas:") == code
    with suppress(OSError):
        stream.close()


def test_what_a_study_file_prints_is_no_part_of_the_csv(optnas):
    study = optuna.create_study(study_name="tiny", storage="sqlite:///tiny.db")
    study.add_trial(optuna.create_trial(value=0.5))
    Path("tiny.py").write_text('print("hello")\n' + TINY.read_text())
    code, out, err = optnas("table", "tiny.py")
    assert (code, "hello" in err) == (0, True)
    assert out.startswith("trial,place,")


def test_control_characters_are_shown_and_never_obeyed(optnas):
    study = optuna.create_study(
        study_name=EVIL, storage="sqlite:///evil.db", directions=["minimize", "minimize"]
    )
    study.set_metric_names([EVIL, "b"])
    for i in range(3):
        study.add_trial(
            optuna.create_trial(values=[i, -i], user_attrs={"architecture": f"{EVIL}{i}"})
        )
    study.add_trial(
        optuna.create_trial(state=optuna.trial.TrialState.FAIL, user_attrs={"failure": EVIL})
    )
    for args in (
        ["status"],
        ["pareto"],
        ["pareto", "--html", "f.html"],
        ["pick"],
        ["compare", "evil.db"],
        ["report", "-o", "f.html"],
        ["measure"],
        ["backup", "\x1b[2J.db"],
        ["run"],
    ):
        _, out, err = optnas(args[0], "evil.db", *args[1:])
        assert visible(out + err) == out + err, args
    assert r"\x1b]52;c;cm0gLXJm\x07\x1b[2J" in optnas("pick", "evil.db")[1]


def test_the_command_line_prints_by_its_console_alone():
    """`echo`, `show` and `Terminal` show control characters; other ways wouldn't."""
    import optnas

    package = Path(optnas.__file__).parent
    for file in package.rglob("*.py"):
        if file.name not in ("console.py", "terminal.py"):
            text = file.read_text()
            assert "typer.echo(" not in text, file
            assert "import Console\n" not in text, file
