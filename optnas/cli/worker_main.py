"""A worker process: it reads its job from standard input, and reports events to its parent.

Standard output carries one JSON object a line. The output of the study's own code goes to the log,
with standard error. When standard input ends, the parent is gone, and the worker ends, too.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn, TextIO

from optnas.errors import Terminated
from optnas.runs.observer import Observer
from optnas.runs.stop import Stop, end_when_preempted, raised_again, stopping
from optnas.runs.worker_process import Job

EPOCH_SECONDS = 0.5
"""The shortest time between two epochs that the parent is told of."""
SOON = 1.0
"""Seconds that a killed process may need to be gone."""


class _Reporter(Observer):
    """Reports the events of the run to the parent."""

    def __init__(self, events: TextIO) -> None:
        self._events = events
        self._shows_epochs = False
        self._epoch = 0.0
        self._lock = threading.Lock()

    def tell(self, **event: Any) -> None:
        with self._lock:  # the thread that renews leases may have a remark, too
            self._events.write(json.dumps(event) + "\n")
            self._events.flush()

    @property
    def shows_epochs(self) -> bool:
        return self._shows_epochs

    def obey(self, job: Job) -> None:
        """Reports epochs from now on if the job asks for them."""
        self._shows_epochs = job.epochs

    def say(self, text: str) -> None:
        self.tell(remark=text)

    def recovered(self, numbers: list[int]) -> None:
        self.tell(recovered=numbers)

    def waiting(self, numbers: list[int]) -> None:
        self.tell(waiting=numbers)

    def began(self, number: int) -> None:
        self.tell(began=number)

    def choosing(self, number: int) -> None:
        self.tell(choosing=number)

    def epoch(self, number: int, step: int, scores: Mapping[str, float]) -> None:
        if time.monotonic() - self._epoch > EPOCH_SECONDS:
            self._epoch = time.monotonic()
            self.tell(epoch=[number, step, dict(scores)])

    def finished(self, study: object, trial: Any) -> None:
        self.tell(finished=trial.number)


class _Remarks(logging.Handler):
    """Lets the parent show warnings at once, such as that the database is locked."""

    def __init__(self, reporter: _Reporter) -> None:
        super().__init__(logging.WARNING)
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        self._reporter.say(record.getMessage())


def main() -> NoReturn:
    """Runs one worker; the exit code is 0 when nothing is left to do."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if hasattr(os, "register_at_fork"):
        # The end of the events says that the worker has ended: what the study's code forks, such
        # as a pool of processes, mustn't hold them open.
        os.register_at_fork(after_in_child=partial(os.dup2, 2, events.fileno(), inheritable=False))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    reporter, stop = _Reporter(events), Stop()
    logging.getLogger("optnas").addHandler(_Remarks(reporter))
    code = 0
    try:
        with raised_again(), stopping(stop, terminate=True):
            if hasattr(signal, "pthread_sigmask"):  # Ray blocks SIGINT in all that it starts
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            job = Job(**json.loads(sys.stdin.readline()))
            if job.worker:
                end_when_preempted()
            threading.Thread(target=_leave_with_parent, daemon=True).start()
            reporter.obey(job)
            from optnas.cli.worker_job import settings, work  # which takes seconds

            if job.describes:
                reporter.tell(settings=settings(job))
            else:
                work(job, reporter, stop)
    except Terminated:
        code = 143
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the parent is gone
        code = 143
    except Exception as error:
        _report(reporter, error)
        code = 1
    try:
        _end_children()
        sys.stdout.flush()
    finally:
        os._exit(code)  # threads of libraries mustn't keep it


def _end_children() -> None:
    """Ends the processes that the study's code has started by `multiprocessing`.

    Python sees to them when it ends by itself, but not at `os._exit`.
    """
    multiprocessing = sys.modules.get("multiprocessing")
    children = [] if multiprocessing is None else multiprocessing.active_children()
    if children and hasattr(signal, "SIGCHLD"):
        # Where a study's code uses workers of a DataLoader, PyTorch's handler raises at their end.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for child in children:
        child.kill()
    for child in children:
        child.join(SOON)


def _report(reporter: _Reporter, error: Exception) -> None:
    from optnas.errors import CommandError, InputError, with_notes
    from optnas.storage.faults import storage_message

    is_whole = isinstance(error, (InputError, CommandError))
    message = with_notes(error) if is_whole else storage_message(error)
    if message is not None:
        reporter.tell(error=message, input=True)
        return
    text = "".join(traceback.format_exception(error))
    print(text, file=sys.stderr)
    reporter.tell(error=text, input=False)


def _leave_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
