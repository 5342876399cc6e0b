"""The studies of a folder, and what deleted ones have left there: shown, and removed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from optnas.cli.console import echo, show
from optnas.errors import InputError
from optnas.study.folder_studies import FolderStudies, read_folder
from optnas.study.leftovers import Leftover, leftovers, remove
from optnas.utils.text import number, plural


def show_folder(folder: str) -> None:
    """Shows the studies of a folder, then what belongs to none of them, and how to remove it.

    Raises:
        InputError: A database can't be read; what can be has been shown.
    """
    found = read_folder(Path(folder))
    if found.studies:
        show(_studies_table(found))
    if found.faults:
        raise InputError(_not_known(found, "what belongs to no study isn't known"))
    left = leftovers(found)
    if not left and not found.studies:
        echo(f"there are no studies in {folder}, and no files of deleted ones")
    if not left:
        return
    echo("files that belong to no study of this folder:")
    _list(left)
    command = f"optnas storage clean {_quoted(folder)}"
    if any(not one.kept and not one.recent for one in left):
        echo(f"remove them: {command}")
    if named := [one for one in left if one.kept and not one.recent]:
        names = " ".join(_quoted(one.path.name) for one in named)
        echo(f"remove those that must be named: {command} {names}")


def clean_folder(folder: Path, names: Sequence[str], *, yes: bool) -> None:
    """Removes what deleted studies have left in a folder.

    Args:
        folder: The folder.
        names: Those to remove; empty removes all but those that must be named.
        yes: Whether not to ask.

    Raises:
        InputError: Nothing is removed: a database can't be read, or a name is none of a leftover.
        typer.Exit: The user said no, or something couldn't be removed.
    """
    left = _readable(folder)
    chosen = _chosen(left, names, folder)
    for one in left:
        if one not in chosen and not names:
            echo(f"not removed: {_line(one)}")
    if not chosen:
        echo(f"nothing to remove in {folder}")
        return
    echo("to remove:")
    _list(chosen)
    if not yes:
        if not _agreed():
            echo("nothing is removed")
            raise typer.Exit(1)
        # A study may have been made, or a database put back, while the question stood there.
        again = _readable(folder)
        for one in chosen:
            if one not in again:
                echo(f"not removed: {one.path.name}: it has changed since the question", err=True)
        chosen = [one for one in chosen if one in again]
    failed = [one for one in chosen if not _removed(one)]
    if failed:
        echo(f"optnas: {len(failed)} of {len(chosen)} couldn't be removed", err=True)
        raise typer.Exit(1)


def _readable(folder: Path) -> list[Leftover]:
    found = read_folder(folder)
    if found.faults:
        raise InputError(_not_known(found, "nothing is removed"))
    return leftovers(found)


def _not_known(found: FolderStudies, follows: str) -> str:
    return (
        f"{'; '.join(found.faults)}. It may have studies whose files lie here, so {follows}: "
        "mend it, wait until it isn't locked, or move it away"
    )


def _chosen(left: list[Leftover], names: Sequence[str], folder: Path) -> list[Leftover]:
    if not names:
        return [one for one in left if not one.kept and not one.recent]
    by_name = {one.path.name: one for one in left}
    names = [os.path.normpath(name) for name in names]  # a shell may have added a slash
    for name in names:
        if name not in by_name:
            listed = ", ".join(by_name) or "none"
            raise InputError(
                f"{name} is nothing that a deleted study has left in {folder}; there are: "
                f"{listed}. Nothing is removed"
            )
        if by_name[name].recent:
            raise InputError(
                f"{name} was changed within the last hour, or other files of its study were: a "
                "process may be writing there. Nothing is removed: try again later"
            )
    return [by_name[name] for name in dict.fromkeys(names)]


def _agreed() -> bool:
    try:
        return typer.confirm("remove them?")
    except typer.Abort as end:  # there is no terminal
        raise InputError("nothing is removed: give --yes where nobody can answer") from end


def _removed(one: Leftover) -> bool:
    try:
        remove(one)
    except OSError as error:
        part = " whole, some files of it are" if _is_partly_gone(one) else ""
        echo(f"not removed{part}: {one.path.name}: {error.strerror}", err=True)
        return False
    echo(f"removed: {one.path.name}")
    return True


def _is_partly_gone(one: Leftover) -> bool:
    return not all(os.path.lexists(file) for file in one.files)


def _studies_table(found: FolderStudies) -> Table:
    table = Table(box=None)
    for heading in ("study", "database", "complete", "state"):
        table.add_column(heading, justify="right" if heading == "complete" else "left")
    for study in found.studies:
        state = "running" if study.running else "not running"
        table.add_row(escape(study.name), escape(study.file.name), str(study.complete), state)
    return table


def _list(left: Sequence[Leftover]) -> None:
    for one in left:
        echo(f"  {_line(one)}")
    if len(left) > 1:
        echo(f"  {plural(len(left), 'name')}, {_size(sum(one.size for one in left))} in all")


def _line(one: Leftover) -> str:
    note = "changed within the last hour" if one.recent else one.kept and f"{one.kept}; name it"
    return f"{one.path.name}  {_size(one.size)}{f'  ({note})' if note else ''}"


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{number(round(size, 1))} {unit}"


def _quoted(text: str) -> str:
    return shlex.quote(text if not text.startswith("-") else f"./{text}")
