"""A block that restores the random generators once, whatever its parts do.

Reading and restoring NumPy's generator takes a quarter of a millisecond. A sampler draws and builds
hundreds of architectures for one trial, and each preserves the generators (see
`optnas.utils.random_state`). Here nothing of torch is imported: plain Optuna needs none for an ask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager


class _Thread(threading.local):
    """What is known of the present thread."""

    block: ExitStack | None = None
    preserved = False
    in_part = False


_here = _Thread()


@contextmanager
def preserved_once() -> Iterator[None]:
    """Lets the parts of this block (see `part`) leave traces in the generators until its end."""
    if _here.block is not None:
        yield
        return
    with ExitStack() as block:
        _here.block, _here.preserved = block, False
        try:
            yield
        finally:
            _here.block = None


@contextmanager
def part(preserve: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Preserves the generators: for this block alone, unless it is a part of `preserved_once`.

    A part inside of another part preserves them for itself, because the outer one continues with
    the numbers that it has seeded.

    Args:
        preserve: Makes the context manager that restores the generators.
    """
    if _here.block is None or _here.in_part:
        with preserve():
            yield
        return
    if not _here.preserved:
        _here.block.enter_context(preserve())
        _here.preserved = True
    _here.in_part = True
    try:
        yield
    finally:
        _here.in_part = False
