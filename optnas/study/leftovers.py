"""What a study whose database was deleted has left in a folder: found, and removed.

Everything here prefers to leave a file. A file or folder counts only if its name ends as those of a
study's files do, no study of the folder has it, and all in it looks like what optnas writes.
"""

from __future__ import annotations

import html
import os
import re
import stat
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from optnas.storage.databases import entries
from optnas.study.elsewhere import ABOUT
from optnas.study.folder_studies import FolderStudies
from optnas.study.folders import (
    CHECKPOINTS,
    ELSEWHERE,
    FRONT,
    LOGS,
    REPORT,
    RETRAINED,
    SHARED,
    SUFFIXES,
    WEIGHTS,
    file_name,
)

RECENT = 3600.0
"""Seconds in which a change protects files: their study may be one that is made just now."""
_HEAD = 8192
"""Bytes at the beginning of a file that tell what it is."""
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PART = rf"\.{_UUID}(?:\.\w+)?|{_UUID}\.part"
"""A file that was being written."""
_COMMAND = r"lock|curve\.jsonl|output(?:_tail(?:_before)?)?\.log|files(?:/.+)?"
"""Of a trial that a command trains; what lies in `files` is that command's, and may be anything."""
_TRAINING = rf"training\.pt|{_COMMAND}|{_PART}"
_CONTENTS = {
    CHECKPOINTS: rf"trial\d+|trial\d+/(?:{_TRAINING})",
    WEIGHTS: rf"{_UUID}|{_PART}",
    RETRAINED: (
        r"(?P<run>trial\d+(?:_\d+epochs)?_[0-9a-f]{8})"
        rf"(?:/(?:results\.json|seed\d+\.(?:safetensors|pt)|seed\d+|seed\d+/(?:{_TRAINING})|{_PART}))?"
    ),
    SHARED: rf"lock|supernet\.safetensors|{_TRAINING}",
    ELSEWHERE: rf"[0-9a-f]{{8}}\.json|{_PART}",
    LOGS: r".+-(?:worker\d+|server)\.log",
}
"""The paths in each folder that optnas writes."""
_FOLDERS = re.compile(r"trial\d+\w*(?:/seed\d+)?(?:/files)?")
_SCRIPTS = re.compile(r"(trial\d+\w*(?:/seed\d+)?)/files/.+", re.DOTALL)
_TAG = re.compile(r"-[0-9a-f]{8}\Z")
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_POLICY = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; script-src'
"""In the head of each page that optnas writes."""


@dataclass(frozen=True)
class Leftover:
    """A file or folder that belongs to no study of the folder.

    Attributes:
        path: Where it lies.
        name: What its name begins with: that of its study's files.
        files: The files in it, or itself.
        folders: It and the folders in it, the innermost first; none for a file.
        size: Bytes.
        changed: When it was changed last, in seconds since the epoch.
        kept: Why it isn't removed unless it is named; empty if it is removed.
        recent: Whether it was changed so recently that it isn't removed at all.
    """

    path: Path
    name: str
    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    size: int
    changed: float
    kept: str = ""
    recent: bool = False


def leftovers(of: FolderStudies) -> list[Leftover]:
    """What belongs to no study of a folder, all of whose databases could be read."""
    assert not of.faults, "a database that can't be read may own anything"
    owned = {_alike(name) for study in of.studies for name in study.owned}
    listed = {artifact for study in of.studies for artifact in study.elsewhere}
    found = [
        left
        for path in entries(of.folder)
        if (left := _leftover(path)) is not None
        and _alike(left.name) not in owned
        and not listed.intersection(file.name for file in left.files)
    ]
    telling = {left.name for left in found if _is_telling(left)}
    # A clock that was set back makes a time lie ahead.
    recent = {left.name for left in found if left.changed > time.time() - RECENT}
    return [
        replace(left, kept=_why_kept(left, telling), recent=left.name in recent) for left in found
    ]


def remove(left: Leftover) -> None:
    """Removes a leftover: the files that were found, and then folders, if nothing else is in them.

    Raises:
        OSError: It can't be removed, or not whole.
    """
    for file in left.files:
        file.unlink(missing_ok=True)
    for folder in left.folders:
        folder.rmdir()


def _alike(name: str) -> str:
    """A name as the file systems see it that don't tell cases or forms of Unicode apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _leftover(path: Path) -> Leftover | None:
    """What optnas has written at a path, whosever it is; None if it is anything else."""
    suffix = next((end for end in SUFFIXES if path.name.endswith(end)), "")
    name = path.name.removesuffix(suffix)
    if not suffix or not name.isprintable() or not name:
        return None
    try:
        inside = list(_walk(path))
        is_folder = path.is_dir() and not path.is_symlink()
        files = tuple(p for p, found in inside if not stat.S_ISDIR(found.st_mode))
        folders = tuple(p for p, found in reversed(inside) if stat.S_ISDIR(found.st_mode))
        if any(not stat.S_ISREG(p.lstat().st_mode) and not _is_scripts(p, path) for p in files):
            return None
        if is_folder != (suffix in _CONTENTS):
            return None
        if is_folder and not all(_is_written(p, path, suffix) for p, _ in inside[1:]):
            return None
        if is_folder and not files and suffix != WEIGHTS:  # only this one is made empty
            return None
        if not is_folder and not _is_page(path, name, suffix):
            return None
    except OSError:
        return None
    size = sum(found.st_size for _, found in inside if stat.S_ISREG(found.st_mode))
    return Leftover(
        path, name, files, folders, size, changed=max(found.st_mtime for _, found in inside)
    )


def _walk(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """A path and all below it, outer folders first; no link is followed."""
    found = path.lstat()
    yield path, found
    if stat.S_ISDIR(found.st_mode):
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            yield from _walk(Path(entry.path))


def _is_written(path: Path, root: Path, suffix: str) -> bool:
    """Whether optnas writes such a path in a study's folder."""
    inside = path.relative_to(root).as_posix()
    if not re.fullmatch(_CONTENTS[suffix], inside, re.DOTALL):
        return False
    if _is_scripts(path, root):
        return True
    if path.is_dir() != bool(_FOLDERS.fullmatch(inside)):
        return False
    if suffix == ELSEWHERE and not path.name.startswith("."):
        return ABOUT.encode() in _head(path)
    return suffix != WEIGHTS or not re.fullmatch(_UUID, path.name) or _is_artifact(_head(path))


def _is_scripts(path: Path, root: Path) -> bool:
    """Whether a command wrote it into its own folder, which has a lock next to it."""
    found = _SCRIPTS.fullmatch(path.relative_to(root).as_posix())
    lock = found and root / found[1] / "lock"
    return (
        lock is not None and not lock.is_symlink() and lock.is_file() and not os.path.getsize(lock)
    )


def _is_artifact(head: bytes) -> bool:
    """Whether a file begins like weights of either kind, a drawing, or ONNX."""
    is_torch = head.startswith(b"PK\x03\x04") and b"/data.pkl" in head[:256]
    is_drawing = head.startswith(b"<svg") or head.startswith(b"<?xml")
    return head[8:9] == b"{" or is_torch or is_drawing or head[:1] == b"\x08"


def _is_page(path: Path, name: str, suffix: str) -> bool:
    text = _head(path).decode("utf-8", errors="replace")
    title = _TITLE.search(text)
    if _POLICY not in text or title is None or suffix not in (FRONT, REPORT):
        return False
    # A report may have been written to any file: that of the study `digits` to thesis_report.html.
    return suffix == FRONT or file_name(html.unescape(title[1])) in (name, _TAG.sub("", name))


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(_HEAD)


def _is_telling(left: Leftover) -> bool:
    """Whether it can't be a user's own file: pages, logs and empty folders could be."""
    return bool(left.files) and not left.path.name.endswith((LOGS, FRONT, REPORT))


def _why_kept(left: Leftover, telling: set[str]) -> str:
    if _TAG.search(left.name):
        return "a study on a server may have it"
    if left.name not in telling:
        return "it may be yours: no weights of this name are left"
    return ""
