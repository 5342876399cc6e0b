"""The part of a trial in which the sampler decides.

It takes turns with latency measurements, and it is shown if it takes long: the predictor builds and
runs networks for their proxies, which takes minutes where images are large.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from optnas.devices.sharing import Sharing

UNSEEN = 1.0
"""Seconds that a decision may take without being shown."""


class _Thread(threading.local):
    """The decision that the present thread is at: from when on it is shown, and how."""

    shown_from = 0.0
    show: Callable[[], None] | None = None


_here = _Thread()


@contextmanager
def asking(show: Callable[[], None]) -> Iterator[None]:
    """Lets a sampler decide inside the block, while nobody measures on this machine.

    Args:
        show: Called once if the decision takes long.
    """
    _here.shown_from, _here.show = time.monotonic() + UNSEEN, show
    try:
        with Sharing(torch.device("cpu")):
            yield
    finally:
        _here.show = None


def step() -> None:
    """Called before each network that a decision needs: it is shown if it takes long."""
    if _here.show is not None and time.monotonic() > _here.shown_from:
        show, _here.show = _here.show, None
        show()
