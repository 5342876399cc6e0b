"""Whatever is typed: no traceback, exit code 0, 1 or 2, and no study is changed by it."""

import contextlib
import functools
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import optuna
import pytest
from command_line import environment, exit_code
from hypothesis import example, given, settings, strategies as st

import optnas.storage.open
from optnas import cli
from optnas.errors import InputError
from optnas.search.study_file import load_search
from optnas.storage.open import open_storage

STUDY = (Path(__file__).parents[1] / "helpers" / "study_tiny.py").read_text()


@pytest.fixture(scope="module", autouse=True)
def _soon():
    """Servers that don't answer are given up at once."""
    with (
        mock.patch.object(optnas.storage.open, "ANSWER_SECONDS", 0.02),
        mock.patch.dict(os.environ, PGCONNECT_TIMEOUT="1"),
        mock.patch.object(sys, "path", [*sys.path]),  # folders of study files are put there
    ):
        yield


@contextlib.contextmanager
def folder():
    """A folder with a study in it, which must be as it was afterwards."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        Path("tiny.py").write_text(STUDY)
        Path("tiny.db").write_bytes(database())
        before = contents()
        yield
        assert contents() == before


@functools.cache
def database():
    with tempfile.TemporaryDirectory() as name:
        study = optuna.create_study(study_name="tiny", storage=f"sqlite:///{name}/tiny.db")
        study.add_trial(optuna.create_trial(value=1.0))
        optnas.storage.open.close_storage(study._storage)
        return Path(name, "tiny.db").read_bytes()


def contents():
    return {
        str(p): p.read_bytes()
        for p in Path().rglob("*")
        if p.is_file() and "__pycache__" not in p.parts and p.suffix not in (".lock", ".html")
    }


def run(args):
    """Calls the command line; its exit code, and what it wrote."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = exit_code(args)
    assert code in (0, 1, 2), out.getvalue()
    assert "Traceback" not in out.getvalue()
    return code


NUMBERS = st.sampled_from(
    ["0", "-1", "nan", "inf", "-inf", "1e400", "9" * 30, "2147483648", "", " ", "x", "0x1", "１"]
)
TEXTS = st.sampled_from(
    [
        "",
        " ",
        "..",
        "/",
        "\0",
        "a\0b",
        "ü" * 300,
        "\ud800",
        "\udcff",
        "[red]",
        "{x}",
        "%s",
        "~",
        "*",
    ]
) | st.text(max_size=8)
PATHS = st.sampled_from(["tiny.py", "none.py", "tiny.db", "no/such", "/dev/null", "."]) | TEXTS
URLS = st.sampled_from(["sqlite:///tiny.db", "sqlite:///", "tiny.db", "grpc://x", "://"]) | TEXTS
GOOD = st.sampled_from(["tiny.py", "sqlite:///tiny.db"])
OPTIONS = {
    "--trials": NUMBERS,
    "--workers": NUMBERS,
    "--hours": NUMBERS,
    "--until-flat": NUMBERS,
    "--seed": NUMBERS,
    "--epochs": NUMBERS,
    "--trial-timeout": NUMBERS,
    "--max-failures": NUMBERS,
    "--trial": NUMBERS,
    "--port": NUMBERS.filter(lambda n: n not in ("0", "")),
    "--storage": URLS,
    "--name": TEXTS,
    "--sampler": TEXTS,
    "--device": TEXTS,
    "--file": PATHS,
    "--host": st.sampled_from(["", "x y", "\0", "256.256.256.256", "ü" * 70]),
    "--html": PATHS,
    "--x": TEXTS,
    "--color": TEXTS,
}
COMMANDS = ("run", "resume", "status", "pareto", "measure", "dashboard", "serve", "backup", "new")


@st.composite
def command_lines(draw):
    """A command with options that it knows, none of which makes it run on or write a file."""
    names = draw(st.sampled_from([*COMMANDS, "storage copy"])).split()
    command = cli.click_command()
    for name in names:
        command = command.commands[name]
    known = [option for param in command.params for option in param.opts if option in OPTIONS]
    args = [*names, draw(GOOD | PATHS | URLS), *draw(st.lists(PATHS | URLS, max_size=1))]
    for option in draw(st.lists(st.sampled_from(known), max_size=2)) if known else []:
        args += [option, draw(OPTIONS[option])]
    if "--epochs" in known:
        args += ["--epochs", "0"]
    if names == ["dashboard"]:
        args += ["--port", "65536"]
    if names[0] in ("backup", "new", "storage"):
        args += ["\0"]
    return args


@settings(max_examples=100)
@given(command_lines())
@example(["run", "tiny.py", "--hours", "nan"])
@example(["run", "a\0b"])
@example(["resume", "sqlite:///tiny.db", "--name", "\ud800"])
@example(["run", "tiny.py", "--name", "\ud800"])
@example(["run", "tiny.py", "--name", "\0"])
@example(["run", "tiny.py", "--name", "a\0b", "--epochs", "0"])
@example(["pareto", "sqlite:///tiny.db", "--html", "\0.html"])
@example(["new", "\0.py"])
@example(["new", "ü" * 300 + ".py"])
@example(["backup", "sqlite:///tiny.db", "\0"])
@example(["resume", "sqlite:///tiny.db", "--file", "a\0b"])
@example(["status", "sqlite:///" + "ü" * 300])
@example(["dashboard", "sqlite:///tiny.db", "--port", "-1"])
@example(["measure", "sqlite:///tiny.db", "--trial", "9" * 30])
def test_command_lines(args):
    with folder():
        run(args)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_path_that_cant_be_shown(encoding, tmp_path):
    """Without torch, too, which takes seconds to import: a new study file needs none of it."""
    code = "import sys; sys.modules['torch'] = None; from optnas.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "new", b"\xff.py"],
        env=environment() | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        cwd=tmp_path,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"wrote ")


FILES = st.one_of(
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=30),
    st.sampled_from(
        [
            "raise {}",
            "import optnas\nsearch = {}",
            "from networks import build_linear\nsearch = {}",
        ]
    ).flatmap(
        lambda text: st.sampled_from(
            [
                "KeyboardInterrupt",
                "SystemExit",
                "SystemExit(0)",
                "GeneratorExit",
                "BaseException",
                "Exception()",
                "StopIteration",
                "ValueError('')",
                "OSError(2,'x')",
                "ExceptionGroup('e',[ValueError()])",
                "RecursionError",
                "UnicodeDecodeError('a',b'',0,1,'')",
                "None",
                "3",
                "optnas.Search",
                "optnas",
                "MemoryError",
                "type('E',(Exception,),{'__str__':lambda",
                "_:1/0})()",
            ]
        ).map(lambda value: text.format(value).encode())
    ),
)


@settings(max_examples=100)
@given(FILES)
@example(b"\0")
@example(b"\xff\xfe")
@example(b"raise KeyboardInterrupt")
@example(b"raise GeneratorExit")
@example(b"(" * 1000)
@example(b"x = " + b"-" * 100_000 + b"1")
@example(b"class E(Exception):\n    def __str__(self):\n        return 1\nraise E")
@example(b"class S:\n    def __repr__(self):\n        raise ValueError\nsearch = S()")
@example(b"def f(): f()\nf()")
@example(b"import sys; sys.modules.clear")
def test_study_files(content):
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        Path("mine.py").write_bytes(content)
        with pytest.raises((InputError, KeyboardInterrupt)):
            load_search("mine.py")


PARTS = st.sampled_from(
    ["/", "tiny.db", "%00", "%2F", "?mode=ro", "?uri=true", "file:tiny.db", "u:p@", "@", ":1"]
) | st.sampled_from([":99999", ":-1", ":x", "localhost", "[::1]", "127.0.0.1", "?", "#", "{x}"])
ODD = st.sampled_from([":memory:", "ü", "..", "?host=/nowhere", "?%", "", "\0", "\n", "a" * 300])


@st.composite
def urls(draw):
    kinds = ["sqlite", "journal", "postgresql", "postgresql+psycopg", "grpc", "sqlite+x", "mysql"]
    slashes = draw(st.sampled_from(["", "/", "//", "///", "////"]))
    return (
        draw(st.sampled_from(kinds))
        + ":"
        + slashes
        + "".join(draw(st.lists(PARTS | ODD, max_size=4)))
    )


@settings(max_examples=200)
@given(urls() | TEXTS)
@example("sqlite:///file:tiny.db?uri=true")
@example("sqlite:///tiny.db?mode=ro")
@example("sqlite://host/tiny.db")
@example("sqlite:///{x}.db")
@example("grpc://\0:1")
@example("grpc://[::1]:1")
@example("grpc://localhost:99999")
@example("postgresql://localhost:99999/x")
@example("postgresql://localhost:1/x?no=such")
@example("postgresql://")
@example("journal:///..")
@example("journal:///" + "a" * 300)
def test_urls(url):
    with folder():
        with contextlib.suppress(InputError):
            storage = open_storage(url)
            optuna.get_all_study_names(storage)
            optnas.storage.open.close_storage(storage)
        assert run(["status", url]) in (0, 2)
