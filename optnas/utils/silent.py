"""Code of the user's that is run only to look at what it makes, and isn't to be heard."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any


@contextmanager
def silent() -> Iterator[None]:
    """Drops what the block prints: networks that are only drafted may have a lot to say.

    Samplers draft some hundred for each trial. Other threads than the main one print as ever: two
    that replaced standard output at the same time could leave it replaced.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with redirect_stdout(io.TextIOWrapper(io.BufferedWriter(_Nowhere()), errors="replace")):
        yield


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return memoryview(data).nbytes
