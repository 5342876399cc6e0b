"""What the shell proposes for an argument while it is typed.

It is asked for at every press of the tab key, so nothing here imports torch or Optuna.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

SAMPLERS = (
    "predictor",
    "evolution",
    "local_search",
    "reinforce",
    "qlearning",
    "gradient",
    "random",
    "tpe",
    "nsgaii",
    "nsgaiii",
    "gp",
)
EVALUATORS = ("training", "shared")
DEVICES = ("auto", "cpu", "cuda", "mps")
SQLITE = (".db", ".sqlite", ".sqlite3")
ENDINGS = (".py", *SQLITE, ".journal")
"""How the names of study files and databases end."""
MOST = 200
"""Files of a folder that are proposed."""


def samplers(incomplete: str) -> list[str]:
    """The samplers that `--sampler` takes."""
    return _beginning(SAMPLERS, incomplete)


def evaluators(incomplete: str) -> list[str]:
    """What `--evaluator` takes."""
    return _beginning(EVALUATORS, incomplete)


def devices(incomplete: str) -> list[str]:
    """What `--device` takes."""
    return _beginning(DEVICES, incomplete)


def studies(incomplete: str) -> list[str]:
    """Study files, databases and folders; the studies in databases of this folder; bundled ones."""
    found = _files(incomplete)
    if "/" not in incomplete:
        here = [path for path in sorted(Path().iterdir()) if path.suffix in SQLITE]
        found += [name for path in here[:MOST] for name in _names(path)]
        found += [file.stem for file in sorted(_bundled().glob("*.py"))]
    return _beginning(dict.fromkeys(found), incomplete)


def names(incomplete: str) -> list[str]:
    """The studies in the databases of this folder, for `--name`."""
    here = [path for path in sorted(Path().iterdir()) if path.suffix in SQLITE]
    return _beginning(dict.fromkeys(n for p in here[:MOST] for n in _names(p)), incomplete)


def databases(incomplete: str) -> list[str]:
    """Databases and folders, for `--storage`."""
    return [path for path in _files(incomplete) if not path.endswith(".py")]


def _beginning(words: object, incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]  # type: ignore[attr-defined]


def _files(incomplete: str) -> list[str]:
    """Paths that begin as typed: study files, databases, and folders with a slash."""
    head, _, tail = incomplete.rpartition("/")
    folder = f"{head}/" if "/" in incomplete else ""
    found = []
    with suppress(OSError):
        for path in sorted(Path(folder).expanduser().iterdir()):
            if path.name.startswith(tail) and not (path.name.startswith(".") and not tail):
                if path.is_dir():
                    found.append(f"{folder}{path.name}/")
                elif path.suffix in ENDINGS:
                    found.append(f"{folder}{path.name}")
    return found[:MOST]


def _names(path: Path) -> list[str]:
    """The names of the studies of an SQLite database; none if it can't be read at once."""
    with suppress(sqlite3.Error, OSError):
        url = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(url, uri=True, timeout=0.2)) as database:
            rows = database.execute("SELECT study_name FROM studies LIMIT ?", (MOST,))
            return [str(name) for (name,) in rows]
    return []


def _bundled() -> Path:
    """The folder of the studies that come with optnas (see `optnas.search.study_file`)."""
    package = Path(__file__).parents[1]
    return next(p for p in (package / "studies", package.parent / "studies") if p.is_dir())
