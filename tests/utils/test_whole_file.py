"""A file is replaced whole or not at all, and an error says what to do."""

import errno
import shutil
from pathlib import Path

import plotly.graph_objects as go
import pytest

from optnas.errors import InputError
from optnas.plots.page import write_figure
from optnas.storage import file_access
from optnas.utils.whole_file import not_written

STUDY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"


@pytest.fixture
def full_disk(monkeypatch):
    """From now on, a file that is written as text or copied ends half-way: the disk is full."""

    def write(path, text, *args, **settings):
        with open(path, "w") as file:
            file.write(text[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill():
        monkeypatch.setattr(Path, "write_text", write)
        monkeypatch.setattr(shutil, "copyfile", lambda old, new: write(new, Path(old).read_text()))

    return fill


def test_a_figure_on_a_full_disk_leaves_the_old_one_whole(full_disk):
    write_figure(go.Figure(), Path("f.html"))
    before = Path("f.html").read_bytes()
    full_disk()
    with pytest.raises(InputError, match=r"can't write f\.html: No space left .*: make room on"):
        write_figure(go.Figure(), Path("f.html"))
    assert Path("f.html").read_bytes() == before
    assert [p.name for p in Path().iterdir()] == ["f.html"]


def test_a_full_disk_spoils_no_file_of_a_command(optnas, full_disk):
    shutil.copyfile(STUDY, "tiny.py")
    assert optnas("run", "tiny.py")[0] == 0
    assert optnas("pareto", "tiny.py", "--html", "f.html")[0] == 0
    assert optnas("report", "tiny.py", "-o", "r.html")[0] == 0
    before = {p: p.read_bytes() for p in Path().glob("*.html")}
    full_disk()
    for command in (
        ["pareto", "tiny.py", "--html", "f.html"],
        ["compare", "tiny.db", "tiny.py", "--html", "f.html"],
        ["report", "tiny.py", "-o", "r.html"],
        ["new", "new.py"],
    ):
        code, _, err = optnas(*command)
        assert (code, "make room on the disk" in err) == (2, True), command
    code, out, err = optnas("run", "tiny.py", "--trials", 5)  # the trials are done all the same
    assert (code, "no figure:     can't write" in err, "more trials:" in out) == (0, True, True)
    assert {p: p.read_bytes() for p in Path().glob("*.html")} == before
    assert not Path("new.py").exists()


def test_only_a_full_disk_is_to_be_given_room(monkeypatch):
    assert "make room" in str(not_written(Path("x"), OSError(errno.EDQUOT, "Quota")))
    assert "make room" not in str(not_written(Path("x"), OSError(errno.EACCES, "No")))
    assert file_access.remedy(Path("x.db")) == "mend it, or give another `storage=`"
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert file_access.remedy(Path("x.db")) == "the disk is full: make room on it"
