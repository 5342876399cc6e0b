"""Files that are whole when they are there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to, beside `path`, which becomes that file if the block succeeds.

    So a reader never sees half a file, and nothing is left of one that can't be written. It has the
    suffix of `path`.
    """
    part = path.with_name(f".{uuid.uuid4()}{path.suffix}")
    part.touch()
    mode = part.stat().st_mode
    try:
        yield part
        part.chmod(mode)  # safetensors makes a file that its owner alone can read
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
