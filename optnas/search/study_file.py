"""Study files: importable Python files that define `search`."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from optnas.errors import InputError, Interrupted
from optnas.search.bundled import bundled_folder
from optnas.search.known_files import remember
from optnas.search.neighbours import import_from
from optnas.search.search import Search
from optnas.utils.text import there_are

EXITS = (
    ": the file ends the program while it is imported. It is imported without arguments: give each "
    "argument of a parser a default, and keep what only a script does under "
    '`if __name__ == "__main__":`'
)
"""What to do about a study file that raises SystemExit, as a parser without its arguments does."""


def load_search(study: str | Path) -> Search:
    """Imports a study file and returns its `search`.

    The user has named this file: from now on it is also imported where a database names it.

    Args:
        study: A path, or the name of a study that comes with optnas (`digits_cnn`). The default
            storage of a path lies next to it, that of a name in the working directory.

    Raises:
        InputError: The file is missing, can't be imported, or has no `search`.
    """
    path, root = Path(study), Path.cwd()  # which the file may change
    folder = path.parent
    if not os.path.isfile(path):  # no error for a name that can't be one
        bundled = {file.stem: file for file in sorted(bundled_folder().glob("*.py"))}
        if str(study) not in bundled:
            raise InputError(
                f"there is no study file {study}; of studies that come with optnas "
                f"{there_are(study, bundled)}; `optnas new my_study.py` writes one to start from"
            )
        path, folder = bundled[str(study)], Path()
    search = getattr(_import(path), "search", None)
    if not isinstance(search, Search):
        found = (
            "it defines no `search`" if search is None else f"its `search` is {_text(search, repr)}"
        )
        raise InputError(f"{path} is no study file: {found}; define search = optnas.Search(…)")
    remember(root / path)
    return replace(search, file=path, folder=folder, root=root)


def _text(value: object, how: Callable[[object], str]) -> str:
    """The text of an object of the user's, if it has one."""
    try:
        return how(value)
    except Exception:
        return f"a {type(value).__name__}"


class _SourceAlone(SourceFileLoader):
    """Runs what the file says, never a compiled file next to it, which may say something else."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _place(error: BaseException, path: Path) -> str:
    """File and line of the study file, or of a file of the user's that it imports.

    It is the innermost line of such code, because the error speaks of what is there.
    """
    own = [f for f in traceback.extract_tb(error.__traceback__) if _is_own(f.filename, path)]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else str(path)


def _is_own(filename: str, path: Path) -> bool:
    if filename == str(path):
        return True
    file = Path(filename)
    libraries = (Path(sysconfig.get_path("stdlib")), Path(__file__).parents[1])
    return (
        file.is_file()  # the machinery of imports is in none
        and "site-packages" not in file.parts
        and not any(file.is_relative_to(folder) for folder in libraries)
    )


def _import(path: Path) -> object:
    path = path.absolute()
    if path.suffix != ".py":
        raise InputError(f"{path} can't be imported: a study file is a Python file (*.py)")
    name = f"optnas_study_{path.stem}"
    spec = importlib.util.spec_from_loader(name, _SourceAlone(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    import_from(path.parent)
    arguments = sys.argv
    sys.argv = [str(path)]  # likewise: a file that parses arguments must not see those of optnas
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        where = f"{error.filename or path}, line {error.lineno or 1}"
        raise InputError(f"{where}: {error.msg}") from error
    except (KeyboardInterrupt, Interrupted):
        raise
    except BaseException as error:  # SystemExit, too: the file's code raised it
        where = _place(error, path)
        name = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        reason = (_text(error, str).strip().splitlines() or ["no reason given"])[0]
        if isinstance(error, SystemExit):
            reason += EXITS
        raise InputError(f"{where}: {name}{reason}") from error
    finally:
        sys.argv = arguments
    return module
