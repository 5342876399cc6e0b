"""Writes a file so that readers see all of it or nothing."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optnas.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""The errors of a full disk, and of a user's share of it."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path in the same folder, which replaces `path` if the block succeeds.

    So a reader never sees half a file, and a failed write leaves nothing behind. The temporary path
    has the suffix of `path`.
    """
    part = path.with_name(f".{uuid.uuid4()}{path.suffix}")
    part.touch()
    mode = part.stat().st_mode
    try:
        yield part
        part.chmod(mode)  # safetensors makes the file readable for its owner alone
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def not_written(path: Path, error: OSError) -> InputError:
    """The error for the user: a file can't be written, and what to do; the old one is whole."""
    remedy = ": make room on the disk, and try again" if error.errno in FULL else ""
    return InputError(f"can't write {path}: {error.strerror}{remedy}")
