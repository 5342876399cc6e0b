"""What the shell proposes while an argument is typed."""

import os
import subprocess
import sys

import command_line
import pytest

from optnas.cli import completion
from optnas.cli.completion import databases, names, studies
from optnas.samplers import SAMPLERS
from optnas.storage.urls import DATABASES


def proposed(*words):
    """The answer to the tab key after these words, as bash would ask."""
    code = (
        "import sys; sys.argv = ['optnas']\n"
        "from optnas.cli import main\n"
        "try: main()\n"
        "finally: print('heavy', {'torch', 'optuna'} & set(sys.modules), file=sys.stderr)"
    )
    asked = {
        "_OPTNAS_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True
    )
    return done.stdout.split(), done.stderr


def test_the_shell_is_told_studies_without_an_import_of_torch(tmp_path):
    (tmp_path / "digits_mine.py").touch()
    found, said = proposed("optnas", "run", "digits_")
    assert found[0] == "digits_mine.py"
    assert {"digits_cnn", "digits_vit"} < set(found)
    assert said == "heavy set()\n"


def test_studies_are_files_folders_and_those_in_databases(search, tmp_path):
    search.run(progress=False)  # in tiny.db
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "own.py").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "broken.db").write_text("no database")
    assert studies("ti") == ["tiny.db", "tiny_weights/", "tiny"]
    assert studies("su") == ["sub/"]
    assert studies("sub/") == ["sub/own.py"]
    assert "template" in studies("")
    assert "notes.txt" not in studies("")
    assert names("") == ["tiny"]
    assert databases("") == ["broken.db", "sub/", "tiny.db", "tiny_weights/"]
    assert studies("nowhere/x") == []


def test_what_is_proposed_is_what_there_is():
    assert set(completion.SAMPLERS) == set(SAMPLERS)
    assert set(DATABASES) < set(completion.ENDINGS)
    assert completion.samplers("pre") == ["predictor"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_the_shell_is_shown(shell, monkeypatch, capsys):
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: (shell, f"/bin/{shell}"))
    assert command_line.exit_code(["--show-completion"]) == 0
    assert "_OPTNAS_COMPLETE" in capsys.readouterr().out
