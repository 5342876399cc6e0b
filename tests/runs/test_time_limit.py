"""The limit on a trial's time rings until the trial ends, and never into its clean-up."""

import signal
import sys
import weakref
from contextlib import contextmanager, suppress

import pytest

from optnas.errors import TrialTimeout
from optnas.runs.time_limit import AGAIN, time_limit

LONG = 1000.0
"""Seconds that no test takes: it rings by itself."""


class Thing:
    """Something that a weak reference may point to."""


def ring(*_):
    signal.raise_signal(signal.SIGALRM)


def test_a_time_out_that_python_drops_comes_again(monkeypatch):
    """It drops what is raised while the garbage collector calls something."""
    dropped = []

    @time_limit(LONG)
    def trial():
        assert signal.getitimer(signal.ITIMER_REAL)[1] == AGAIN
        thing = Thing()
        reference = weakref.ref(thing, ring)
        del thing
        assert reference() is None
        assert dropped == [TrialTimeout]
        ring()

    monkeypatch.setattr(sys, "unraisablehook", lambda of: dropped.append(of.exc_type))
    with pytest.raises(TrialTimeout, match="took longer than"):
        trial()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_a_time_out_that_a_study_s_code_drops_comes_again():
    @time_limit(LONG)
    def trial():
        with suppress(BaseException):
            ring()
        ring()

    with pytest.raises(TrialTimeout):
        trial()


@contextmanager
def cleaning(done):
    try:
        yield
    finally:
        ring()
        try:
            raise OSError
        except OSError:
            ring()
        done.append("in a context manager")


def test_a_time_out_does_not_come_again_while_the_trial_cleans_up():
    done = []

    @time_limit(LONG)
    def trial():
        try:
            with cleaning(done):
                ring()
        except TrialTimeout:
            ring()
            done.append("in an except block")
            raise
        finally:
            ring()
            done.append("in a finally block")

    with pytest.raises(TrialTimeout):
        trial()
    assert done == ["in a context manager", "in an except block", "in a finally block"]


def test_a_time_out_at_the_very_end_leaves_no_handler(monkeypatch):
    setitimer = signal.setitimer

    def late(which, seconds, *interval):
        setitimer(which, seconds, *interval)
        if not seconds:
            ring()

    monkeypatch.setattr(signal, "setitimer", late)
    with pytest.raises(TrialTimeout), time_limit(LONG):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
