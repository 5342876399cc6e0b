"""The standard streams of the command line, which may be closed, full, or a pipe that ends early.

None of that stops a command in its work: what can't be written is dropped. A reader that left has
what it wanted. Output that was lost otherwise is an error, which is said when the work is done.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_READER_LEFT = (errno.EPIPE, errno.EINVAL)
"""The second one is Windows's."""


class _Outlet(io.RawIOBase):
    """A file that drops what can't be written.

    Attributes:
        error: The first error; None if all was written.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int | None:
        if self.error is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._file.isatty()

    def fileno(self) -> int:
        return self._file.fileno()


@contextmanager
def lasting_output() -> Iterator[None]:
    """Gives standard streams that never raise; ends the program with 1 if output was lost."""
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, outlet = _lasting(sys.stdout)
    sys.stderr, _ = _lasting(sys.stderr)
    done = False
    try:
        yield
        done = True
    except SystemExit as end:
        done = not end.code
        raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(ValueError):  # the command closed it
                stream.flush()
        lost = outlet.error if outlet is not None else None
        if done and lost is not None and lost.errno not in _READER_LEFT:
            print(
                f"optnas: output can't be written ({lost.strerror}); what the command did is kept",
                file=sys.stderr,
                flush=True,
            )
            sys.stdout, sys.stderr = before
            raise SystemExit(1)
        sys.stdout, sys.stderr = before


def _fill_descriptors() -> None:
    """Opens standard streams that are closed: else a database could get their descriptors."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def _lasting(stream: TextIO | None) -> tuple[TextIO, _Outlet | None]:
    """A stream that never raises, and its outlet if it writes to a file."""
    if stream is None:  # it was closed when the program began
        return open(os.devnull, "w"), None
    if not isinstance(stream, io.TextIOWrapper):
        return stream, None
    # A name may hold what the terminal can't show.
    stream.reconfigure(errors="backslashreplace")
    buffer: Any = stream.buffer
    buffered = isinstance(buffer, io.BufferedWriter)  # not under PYTHONUNBUFFERED
    file = buffer.raw if buffered else buffer
    if not isinstance(file, io.FileIO):
        return stream, None
    outlet = _Outlet(file)
    target: Any = io.BufferedWriter(outlet) if buffered else outlet
    return (
        io.TextIOWrapper(
            target,
            stream.encoding,
            "backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        ),
        outlet,
    )
