"""The commands that pages show work one after the other, from where README's set-up leaves you."""

import re
import shlex
import shutil

import pytest
from pages import PAGES, ROOT, commands_in, name

from optnas.samplers import startup

SERVERS = ("dashboard", "serve")
"""They run until they are stopped; their own tests start them."""
SHORTER = (
    ("epochs=10", "epochs=1"),
    ("trials=30", "trials=6"),
    ("seed=0", 'seed=0,\n    sampler="random",\n    metrics=[optnas.Latency(target_error=0.5)]'),
)


@pytest.fixture
def checkout(tmp_path, monkeypatch, optnas):
    """Where README's first command has been run, with a shorter study."""
    monkeypatch.setattr(startup, "SAMPLE", 12)  # of which the first trials are chosen
    shutil.copytree(ROOT / "studies", "studies", ignore=shutil.ignore_patterns("*[!y]"))
    study = tmp_path / "studies" / "digits_cnn.py"
    text = study.read_text()
    for old, new in SHORTER:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    study.write_text(text)
    code, _, err = optnas("run", "studies/digits_cnn.py")
    assert code == 0, err


def shorter(command):
    """The same command where it would train for long, or needs a fast machine."""
    words = shlex.split(command)[1:]
    match words[0]:
        case "run" | "resume":
            few = "digits_cnn" not in command or "--name" in command
            words += ["--trials", "2" if few else "7"]
            words += ["--workers", "2"] if "--workers" in command else []
            words += [] if "digits_cnn" in command else ["--epochs", "1"]
        case "pick":  # a bound that holds on machines of any speed
            words = [re.sub("latency_ms=.*", "latency_ms=1e9", word) for word in words]
        case "retrain":
            words += ["--epochs", "1"]
        case "confirm":
            words += ["--most", "2", "--seeds", "1"]
    return words


@pytest.mark.slow
def test_the_commands_of_all_pages_work(checkout, optnas):
    done = set()
    for page in PAGES:
        if page.name == "examples.md":  # its studies take minutes
            continue
        for command in commands_in(page):
            if command not in done and command.split()[1] not in SERVERS:
                done.add(command)
                code, out, err = optnas(*shorter(command))
                assert code == 0, f"{name(page)}: {command}\n{out}\n{err}"
    assert len(done) > 10
