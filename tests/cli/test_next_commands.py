"""The commands that a command prints for the next step act on the same study."""

import shlex
import shutil
import sys
from pathlib import Path

import optuna
import pytest

STUDY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"


def printed(out, start="next: "):
    (line,) = [line for line in out.splitlines() if line.startswith(start)]
    program, *arguments = shlex.split(line.removeprefix(start))
    assert program == "optnas"
    return arguments


def test_what_follows_a_pick_is_about_the_study_that_was_picked_from(optnas):
    shutil.copyfile(STUDY, "tiny.py")
    given = ("--storage", "other one.db", "--name", "my second")
    for options in (given[:2], given):
        assert optnas("run", "tiny.py", *options)[0] == 0
    out = optnas("pick", "other one.db", *given[2:])[1]
    assert printed(out)[:2] == ["export", "other one.db"]
    assert printed(out)[2:4] == [*given[2:]]
    out = optnas("pick", "tiny.py", *given)[1]
    code, out, err = optnas(*printed(out))  # there is no tiny.db
    assert code == 0, err
    assert "model:      my second" in out


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_what_follows_a_pick_needs_no_extra_that_is_missing(optnas, monkeypatch, package):
    shutil.copyfile(STUDY, "tiny.py")
    assert optnas("run", "tiny.py")[0] == 0
    assert "--format" not in optnas("pick", "tiny.py")[1]
    monkeypatch.setitem(sys.modules, package, None)
    command = printed(optnas("pick", "tiny.py")[1])
    assert command[:3] == ["export", "--format", "pt2"]
    code, out, err = optnas(*command)
    assert code == 0, err
    code, out, err = optnas("export", "tiny.py")
    assert (code, out) == (2, "")
    assert (
        "onnx needs the extra onnx: pip install 'optnas[onnx]'; or export with --format pt2" in err
    )
    assert "or --format safetensors (weights alone), which need no extra" in err


def test_what_follows_a_pick_holds_no_password(optnas, monkeypatch):
    shutil.copyfile(STUDY, "tiny.py")
    assert optnas("run", "tiny.py")[0] == 0
    study = optuna.load_study(study_name="tiny", storage="sqlite:///tiny.db")
    monkeypatch.setattr("optnas.cli.study_argument.find_study", lambda *_, **__: study)
    url = "postgresql://me:secret@server/studies"
    for options in ((url,), ("tiny.py", "--storage", url)):
        code, out, err = optnas("pick", *options)
        assert code == 0, err
        assert "postgresql://me:***@server/studies" in printed(out)
        assert "secret" not in out + err


def test_the_command_after_a_new_file_may_be_pasted(optnas):
    path = "my study.py"
    code, out, _ = optnas("new", path)
    assert code == 0
    command = printed(out, f"wrote {path}; run it with: ")
    assert command == ["run", path]


def test_a_study_of_plain_optuna_has_no_network_to_train_again(optnas):
    study = optuna.create_study(storage="sqlite:///plain.db", directions=["minimize"] * 2)
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), -t.params["x"]), n_trials=3)
    code, out, err = optnas("pick", "plain.db")
    assert code == 0, err
    assert "next:" not in out
