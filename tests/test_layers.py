"""Imports run one way."""

import ast
from pathlib import Path

import pytest

import optnas

PACKAGE = Path(optnas.__file__).parent
LAYERS = [
    {"errors", "garbage", "rows"},
    {"files", "bulk"},
    {
        "candidate",
        "devices",
        "trials",
        "datasets",
        "idx",
        "sqlite",
        "journal",
        "text",
        "choices",
        "code",
        "faults",
        "stopping",
        "dominance",
        "notes",
        "steps",
        "markdown",
    },
    {
        "storage",
        "leases",
        "timeout",
        "weights",
        "quiet",
        "losses",
        "onnx_file",
        "search_spaces",
        "pareto",
        "spread",
        "provenance",
    },
    {"ledger", "duplicates", "proxy", "picking", "retrained", "confirmed"},
    {"recovery", "samplers"},
    {"metrics"},
    {"evaluators"},
    {"choosing", "checkpoints", "early_stopping"},
    {"objective"},
    {"rebuild", "loop", "progress", "record"},
    {"processes", "copying", "dashboard_notes"},
    {"workers"},
    {"search", "measured"},
    {"comparison"},
    {"plots", "tables", "study_file", "best", "revisit"},
    {"opening", "console", "drawings", "retraining", "confirming"},
    {"running", "worker", "report"},
    {"export"},
    {"publishing"},
    {"dashboard"},
    {"cli"},
    {"__main__"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
SAME_LAYER = {("idx", "datasets")}


def rooms():
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        room = relative.parts[0].removesuffix(".py")
        if room != "__init__" and "studies" not in relative.parts:
            yield pytest.param(path, room, id=str(relative))


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "optnas":
                names = [f"optnas.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("optnas."):
                yield name.split(".")[1]


@pytest.mark.parametrize(("path", "room"), list(rooms()))
def test_imports_run_down(path, room):
    assert room in RANK, f"{room} has no layer: give it one in this test, and in the design"
    for other in imported_rooms(path):
        if other != room and (room, other) not in SAME_LAYER:
            assert RANK[other] < RANK[room], f"{room} imports {other}, which stands above it"


def test_every_layer_is_there():
    there = {p.stem for p in PACKAGE.glob("*.py")} | {p.parent.name for p in PACKAGE.glob("*/*.py")}
    assert set(RANK) - there == set()
