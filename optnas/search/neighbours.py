"""The modules next to a study file, which imports them by their bare names.

Two studies in different folders may each have a `space.py`. Python knows one module of a name, and
would give the second study that of the first.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType

KEPT = {*sys.stdlib_module_names, "__main__", "optnas"}
"""Modules that are nobody's neighbours, whatever lies next to a study file."""
_FOLDERS: set[str] = set()
"""The folders of the study files that this process has imported."""
_REPLACED: dict[str, dict[str, ModuleType]] = {}
"""By folder, the modules whose names those of another folder have taken."""


def import_from(folder: Path) -> None:
    """Lets a study file import the modules of its folder first, as `python study.py` would.

    What study files of other folders have imported from there keeps working, but the names of this
    folder's modules are free again. Before a study's code runs that may import something late, this
    is called again: then the names stand for what that study had imported.

    Args:
        folder: The folder, as an absolute path.
    """
    first, own = str(folder), os.path.realpath(folder)
    sys.path[:] = [first, *(entry for entry in sys.path if entry != first)]
    for name in _names(folder) - KEPT:
        if others := _FOLDERS.intersection(_folders_of(name)) - {own}:
            _replace(name, others)
    for name, module in _REPLACED.pop(own, {}).items():
        sys.modules.setdefault(name, module)
    if not _is_installed(own):
        _FOLDERS.add(own)


def _names(folder: Path) -> set[str]:
    """The modules and packages of a folder."""
    files = {path.stem for path in folder.glob("*.py")}
    return files | {path.parent.name for path in folder.glob("*/*.py")}


def _folders_of(name: str) -> Iterator[str]:
    """The folders from which a module was imported; several for a package without `__init__.py`."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    for place in getattr(module, "__path__", None) or filter(None, [file]):
        yield os.path.realpath(os.path.dirname(place))


def _replace(name: str, folders: Collection[str]) -> None:
    """Frees the name of a module, or package, that belongs to these folders."""
    for known in [*sys.modules]:
        if known.partition(".")[0] == name:
            module = sys.modules.pop(known)
            for folder in folders:
                _REPLACED.setdefault(folder, {})[known] = module


def _is_installed(folder: str) -> bool:
    """Whether what lies in a folder belongs to Python or was installed, and isn't the user's."""
    stdlib = os.path.realpath(sysconfig.get_path("stdlib"))
    return Path(folder).is_relative_to(stdlib) or "site-packages" in Path(folder).parts
