"""The study files that this user has named.

A database names the study file that made it, and importing a file runs its code. The database may
come from somebody else, so such a file is imported only if the user has named it before: by running
it, with --file, or with --trust. The list lies among the user's settings, where no database,
archive or folder that comes from somebody else brings it along.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


def remember(path: Path) -> None:
    """Adds a study file that the user named. Where nothing can be written, nothing is kept."""
    if is_known(path):
        return
    with suppress(OSError, RuntimeError):  # no home, or one that is read-only
        kept = _list()
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_text(path)) + "\n")


def is_known(path: Path) -> bool:
    """Whether the user has named this study file before."""
    try:
        lines = _list().read_text("utf-8").splitlines()
    except (OSError, RuntimeError, UnicodeDecodeError):
        return False
    return json.dumps(_text(path)) in lines


def _list() -> Path:
    import typer  # not above: Python alone needs no command line

    return Path(typer.get_app_dir("optnas"), "study_files")


def _text(path: Path) -> str:
    return str(path.resolve())
