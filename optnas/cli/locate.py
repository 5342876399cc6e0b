"""Finds the study that a bare name means: in this folder, or in one directly below it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from optnas.cli.console import echo
from optnas.errors import InputError
from optnas.storage.urls import DATABASES, database_url
from optnas.utils.text import did_you_mean, there_are


class Located(NamedTuple):
    """What an argument means: a study file, a bundled name, a database file or a URL; the study."""

    argument: str
    name: str | None


def located(argument: str, name: str | None) -> Located:
    """Resolves a name that is no file here; anything else stays as it is.

    `digits_cnn.py` may lie in one folder below, and `my_search` may be the name of a study: of a
    database of that name, or of one of several studies in a database of this folder.

    Args:
        argument: What the user typed.
        name: The option --name.
    """
    path = Path(argument)
    if "://" in argument or os.path.exists(path) or not path.stem:
        return Located(argument, name)
    if path.suffix == ".py" or path.suffix in DATABASES:
        if path.name != argument:
            if path.suffix in DATABASES:
                _check_near(path)
            return Located(argument, name)
        # Not `glob`, nor `is_file`: they raise an error for a name that is too long.
        files = [folder / argument for folder in sorted(Path().glob("*/"))]
        found = [Located(str(file), name) for file in files if os.path.isfile(file)]
    else:
        from optnas.search.bundled import bundled_folder
        from optnas.study.folders import file_name

        if path.name == argument and os.path.isfile(bundled_folder() / f"{argument}.py"):
            return Located(argument, name)
        stem = file_name(argument)
        found = [Located(str(file), name) for file in _databases() if file.stem == stem]
        found = found or [Located(str(f), argument) for f in _databases() if argument in _names(f)]
    if not found and path.suffix in DATABASES:
        _check_near(path)
    if len(found) != 1:
        return Located(argument, name)
    echo(f"{argument}: {found[0].argument}", err=True)
    return found[0]


def check_study_file(argument: str) -> None:
    """Raises InputError, with the studies of this folder, if there is no such study file.

    Args:
        argument: A path of a study file, or the name of a bundled one.
    """
    from optnas.search.bundled import bundled_folder

    bundled = [file.stem for file in sorted(bundled_folder().glob("*.py"))]
    if argument in bundled or os.path.isfile(argument):
        return
    here = list(dict.fromkeys(name for file in _databases() for name in _names(file)))
    files = sorted(str(file) for file in Path(argument).parent.glob("*.py"))
    studies = f"; of studies in this folder {there_are(argument, here)}" if here else ""
    raise InputError(
        f"there is no study file {argument}{did_you_mean(argument, files)}{studies}; of studies "
        f"that come with optnas {there_are(argument, bundled)}; `optnas new my_study.py` writes a "
        "study file to start from"
    )


def _check_near(path: Path) -> None:
    """Raises InputError if other databases have names like that of this one, which isn't there."""
    try:
        there = [str(path.with_name(file.name)) for file in _databases(path.parent)]
    except OSError:  # there is no such folder, which has its own sentence
        return
    if meant := did_you_mean(path, there):
        raise InputError(f"there is no study at {path}{meant}")


def _databases(folder: Path = Path()) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in DATABASES and path.is_file())


def _names(file: Path) -> list[str]:
    """The studies of a database file; none if it can't be read."""
    import optuna

    from optnas.storage.open import open_storage

    url = database_url(file)
    assert url is not None
    try:
        return optuna.get_all_study_names(open_storage(url))
    except InputError:
        return []
