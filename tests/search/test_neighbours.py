"""Study files in different folders import modules of the same name, each its own."""

import linecache
import os
import sys
from pathlib import Path

import optuna
import pytest

import optnas
from optnas.search import neighbours
from optnas.utils.code_hash import code_hash

STUDY = """
import torch, optnas
from space import Net, build
{more}
search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 2)),
    evaluator=lambda model, recipe, report: 0.0,
    objectives={{"loss": "minimize", "params": "minimize"}}, sampler="random", trials=2, seed=3)
"""
SPACE = '''
import torch

class Net(torch.nn.Sequential):
    def width(self):
        return {width}

def make():
    @torch.no_grad
    def other():
        class Inner:
            pass

    @hashable
    class Inner:
        """Two
lines."""

        def width(self):
            return {width}

    return Inner

def hashable(cls):
    return cls

def build(trial):
    return Net(torch.nn.Linear(2, trial.suggest_int("width", {width}, {width} + 1)))
'''


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch):
    monkeypatch.setattr(neighbours, "_FOLDERS", set())
    monkeypatch.setattr(neighbours, "_REPLACED", {})


def write(folder, width, more="", name="study.py"):
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "space.py").write_text(SPACE.format(width=width))
    Path(folder, name).write_text(STUDY.format(more=more))
    return Path(folder, name)


def width_of(search, chosen):
    trial = optuna.trial.FixedTrial({"width": chosen})
    return search.space.build(search.space.suggest(trial)).width()


@pytest.fixture
def study_files():
    return write("a", 2), write("b", 150)


def test_each_search_has_the_modules_of_its_own_folder(study_files):
    first, second = map(optnas.load_search, study_files)
    assert "space" in sys.modules
    assert (width_of(first, 2), width_of(second, 150)) == (2, 150)
    assert width_of(optnas.load_search(study_files[0]), 2) == 2
    assert sys.path[0] == str(Path("a").absolute())
    assert sys.path.count(sys.path[0]) == 1


def test_each_runs_in_worker_processes_although_another_one_was_loaded_since(study_files):
    searches = [*map(optnas.load_search, study_files)]
    for search, width in zip(searches, (2, 150), strict=True):
        study = search.run(workers=2, progress=False)
        done = [trial for trial in study.trials if trial.values]
        assert {trial.params["width"] for trial in done} <= {width, width + 1}
        again = optnas.load_search(search.root / search.file)
        other = searches[search is searches[0]]
        optnas.load_search(other.root / other.file)
        assert search.fingerprint(search.objective()) == again.fingerprint(again.objective())


def test_what_is_imported_late_is_of_the_own_folder_too():
    late = """
import widths
def build(trial):
    from space import WIDTH
    import widths as again
    assert again is widths
    return torch.nn.Linear(2, trial.suggest_int("width", WIDTH, WIDTH + 1))
"""
    searches = {}
    for folder, width in (("one", 3), ("two", 30)):
        Path(folder).mkdir()
        Path(folder, "space.py").write_text(f"WIDTH = {width}\nNet = build = None\n")
        Path(folder, "widths.py").touch()
        Path(folder, "study.py").write_text(STUDY.format(more=late))
        searches[folder] = optnas.load_search(f"{folder}/study.py")
    found = optnas.fits(searches, optnas.Target(ram_kb=9, flash_kb=9), n=5)
    assert [{*space.macs} for space in found.spaces] == [{6.0, 8.0}, {60.0, 62.0}]
    for folder, widths in (("one", (3, 4)), ("two", (30, 31)), ("one", (3, 4))):
        study = searches[folder].run(progress=False)
        assert {trial.params["width"] for trial in study.trials} <= {*widths}


def test_the_code_of_a_class_is_that_of_its_own_file(study_files):
    hashes = []
    for file in study_files:
        optnas.load_search(file)
        space = sys.modules["space"]
        hashes += [(cls, code_hash(cls)) for cls in (space.Net, space.make())]
    assert len({known for _, known in hashes}) == 4
    for cls, known in hashes:  # the first one's module isn't in sys.modules any more
        assert code_hash(cls) == known
    for file in study_files:
        Path(file.parent, "space.py").write_text("")
    linecache.checkcache()
    assert code_hash(hashes[0][0]) != hashes[0][1]  # there is no source now


def test_the_command_compares_what_each_file_says(study_files, optnas):
    code, out, err = optnas("fits", *study_files, "-n", 1, "--target", "ram_kb=900,flash_kb=900")
    assert code == 0, err
    rows = [line.split("│") for line in out.splitlines() if line.startswith("│")]
    macs = [int(row[4]) for row in rows]
    assert macs[0] in (4, 6)  # 2 inputs, and one of the widths of the file
    assert macs[1] in (300, 302)


def test_packages_go_with_their_modules_and_folders_without_init_too():
    for folder, value in (("a", 2), ("b", 150)):
        file = write(folder, value, "import package.part, plain.part")
        for package in ("package", "plain"):
            Path(folder, package).mkdir()
            Path(folder, package, "part.py").write_text(f"VALUE = {value}\n")
        Path(folder, "package", "__init__.py").touch()
        optnas.load_search(file)
        parts = [sys.modules[f"{package}.part"] for package in ("package", "plain")]
        assert [part.VALUE for part in parts] == [value, value]


def test_what_no_study_file_brought_stays(tmp_path, monkeypatch):
    """Modules that are installed, Python's own, the program, optnas, and those of other folders."""
    Path("elsewhere").mkdir()
    Path("elsewhere", "borrowed.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    import borrowed

    names = ["__main__", "optnas", "json", "numpy", "borrowed"]
    kept = [sys.modules[name] for name in names]
    for folder in ("a", "b"):
        file = write(folder, 1)
        for name in names:
            Path(folder, f"{name}.py").write_text("raise AssertionError\n")
        # As where the first study lies at the root of a checkout, or in an environment.
        neighbours._FOLDERS.add(os.path.realpath(Path(optnas.__file__).parents[1]))
        with monkeypatch.context() as patch:
            program = str(tmp_path / "a" / "__main__.py")
            patch.setattr(sys.modules["__main__"], "__file__", program, raising=False)
            optnas.load_search(file)
    assert [sys.modules[name] for name in names] == kept
    assert borrowed.VALUE == 1
    monkeypatch.setattr(neighbours, "_FOLDERS", set())
    neighbours.import_from(Path(pytest.__file__).parents[1])
    assert not neighbours._FOLDERS
