"""What is written in a thread neither ends nor slows a study."""

import logging
import threading

import pytest

import optnas.callbacks.writer as module
from optnas.callbacks.writer import LIMIT, PAUSE, Writer


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def fail():
    raise ConnectionError("nobody is there\nat all")


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_calls_are_made_in_their_order_and_in_another_thread(clock):
    writer, seen = Writer("Tracker", clock), []
    for i in range(50):
        writer.put(lambda i=i: seen.append((i, threading.current_thread().name)))
    writer.finish()
    assert seen == [(i, "optnas Tracker") for i in range(50)]


def test_a_failure_is_one_warning_and_later_calls_are_tried_again(clock, caplog):
    writer, seen = Writer("Tracker", clock), []
    writer.put(fail)
    writer.put(lambda: seen.append("dropped: it is likely to fail, too"))
    writer.finish()
    assert warnings(caplog) == ["Tracker: ConnectionError: nobody is there; the study continues"]
    clock.now = PAUSE
    writer.put(fail)
    writer.finish()
    clock.now = 2 * PAUSE
    writer.put(lambda: seen.append("it is there again"))
    writer.finish()
    assert seen == ["it is there again"]
    assert len(warnings(caplog)) == 1


def test_even_a_tracker_that_leaves_the_program_only_fails(clock, caplog):
    writer = Writer("Tracker", clock)
    writer.put(lambda: exit(3))
    writer.finish()
    assert warnings(caplog) == ["Tracker: SystemExit: 3; the study continues"]


def test_a_tracker_that_hangs_is_waited_for_once_and_given_up(clock, caplog, monkeypatch):
    monkeypatch.setattr(module, "SHORT", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    writer, hangs, begun, seen = Writer("Tracker", clock), threading.Event(), threading.Event(), []
    writer.put(lambda: (begun.set(), hangs.wait()))
    begun.wait()
    writer.settle()
    monkeypatch.setattr(module, "SHORT", 1e6)  # a second time it isn't waited for at all
    writer.put(lambda: seen.append(1))
    writer.settle()
    writer.finish()
    assert "doesn't answer" in warnings(caplog)[0]
    monkeypatch.setattr(module, "PATIENCE", 60.0)
    hangs.set()
    writer.finish()
    assert seen == [1]


def test_what_is_too_much_is_dropped(clock, caplog):
    writer, hangs, begun = Writer("Tracker", clock), threading.Event(), threading.Event()
    writer.put(lambda: (begun.set(), hangs.wait()))
    begun.wait()
    seen = []
    for i in range(LIMIT + 5):
        writer.put(lambda i=i: seen.append(i))
    hangs.set()
    writer.finish()
    assert seen == [*range(LIMIT)]
    assert len(warnings(caplog)) == 1


def test_an_error_in_the_study_s_own_thread_is_the_same_warning(clock, caplog):
    writer = Writer("Tracker", clock)
    for _ in range(2):
        with writer.harmless():
            fail()
    assert len(warnings(caplog)) == 1
    with pytest.raises(KeyboardInterrupt), writer.harmless():
        raise KeyboardInterrupt
