"""Imports run one way: a folder imports only those below it, lazily and for types too."""

import ast
from functools import cache
from pathlib import Path

import pytest

import optnas

PACKAGE = Path(optnas.__file__).parent
LAYERS = [
    {"errors"},
    {"utils"},
    {"candidate"},
    {"datasets", "devices", "storage"},
    {"study"},
    {"pareto", "search_spaces"},
    {"samplers", "metrics"},
    {"evaluators"},
    {"objective", "integrations"},
    {"runs"},
    {"clusters"},
    {"search"},
    {"finished", "plots"},
    {"drawings", "callbacks"},
    {"report"},
    {"export"},
    {"dashboard"},
    {"cli", "testing"},
    {"__main__"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
IN_THE_PACKAGE_ITSELF = {"__init__", "__main__", "candidate", "errors"}


def modules():
    """Every module of the package by its dotted name, without those that lie in its wheel alone."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "studies":
            yield ".".join(part for part in parts if part != "__init__") or "__init__", path


MODULES = dict(modules())


@cache
def imports(module):
    """The modules of the package that a module imports, wherever in it."""
    return frozenset(imported(ast.parse(MODULES[module].read_text())))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "optnas" or node.module.startswith("optnas."):
                inside = node.module.removeprefix("optnas").removeprefix(".")
                for alias in node.names:
                    below = f"{inside}.{alias.name}".removeprefix(".")
                    yield below if below in MODULES else inside or "__init__"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("optnas."):
                    yield alias.name.removeprefix("optnas.")


@pytest.mark.parametrize("room", sorted({name.split(".")[0] for name in MODULES} - {"__init__"}))
def test_imports_run_down(room):
    assert room in RANK, f"{room} has no layer: give it one in this test, and say why"
    above = [
        f"{module} imports {other}, which stands above it"
        for module in MODULES
        if module.split(".")[0] == room
        for other in sorted(imports(module))
        if (there := other.split(".")[0]) not in (room, "__init__") and RANK[there] >= RANK[room]
    ]
    assert not above


def test_no_files_import_each_other_in_a_circle():
    done, path = set(), []

    def visit(module):
        assert module not in path, f"a circle: {' -> '.join([*path[path.index(module) :], module])}"
        if module in done:
            return
        path.append(module)
        for other in imports(module):
            # A package that hands on the names of its files is met again from inside them.
            if not module.startswith(f"{other}.") and other != "__init__":
                visit(other)
        done.add(path.pop())

    for module in MODULES:
        visit(module)


def test_files_lie_in_folders():
    assert {path.stem for path in PACKAGE.glob("*.py")} == IN_THE_PACKAGE_ITSELF


def test_every_layer_is_there():
    assert set(RANK) == {name.split(".")[0] for name in MODULES} - {"__init__"}
