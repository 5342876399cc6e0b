"""Signals end a run, whenever they come."""

import os
import signal
import threading
import weakref

import pytest

from optnas.errors import Interrupted, Terminated
from optnas.runs.stop import Stop, raised_again, stopping


class Thing:
    """Something that a weak reference may point to."""


def signal_while_collecting(number):
    """Sends a signal whose handler is called in a callback of the garbage collector."""
    thing = Thing()
    reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), number))
    del thing
    assert reference() is None
    threading.Event().wait(5)  # the signal sent again ends it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_a_signal_raises_while_garbage_is_collected_isnt_lost(number):
    stop = Stop()
    stop.requested = True  # so the next Ctrl-C gives up
    expected = Terminated if number == signal.SIGTERM else KeyboardInterrupt
    with pytest.raises(expected), raised_again(), stopping(stop, terminate=True):
        signal_while_collecting(number)


def test_a_command_ends_at_a_signal_while_garbage_is_collected():
    def leave(number, _):
        raise Interrupted(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises(Interrupted) as raised, raised_again():
            signal_while_collecting(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert raised.value.code == 143
