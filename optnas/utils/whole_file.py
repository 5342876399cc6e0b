"""Writes a file so that readers see all of it or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
