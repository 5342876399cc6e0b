"""One worker process: the trial that it runs, and how it is ended."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import TrialState

from optnas.runs.starter import Process
from optnas.study.attributes import FAILURE
from optnas.utils.text import duration

HANGING = 60.0
"""Seconds beyond `trial_timeout` after which a worker that doesn't react is killed."""

Event = dict[str, Any]


@dataclass
class Running:
    """The trial that a worker runs; times are on the clock of `time.monotonic`.

    Attributes:
        trial: Its number.
        began: When it began.
        ended: When the study was seen to have its end, which the worker hadn't reported yet.
    """

    trial: int
    began: float
    ended: float | None = None


class Worker:
    """A worker process, and what it has reported."""

    def __init__(self, index: int, process: Process) -> None:
        self.index = index
        self.process = process
        self.running: Running | None = None
        self.listener: threading.Thread | None = None
        self._told = False

    def finish(self) -> None:
        """Lets the worker finish its trial and end; told twice, it would give the trial up."""
        if not self._told:
            self._told = True
            self.process.send_signal(signal.SIGINT)

    def take_in(self, event: Event) -> None:
        """Takes in what the worker has reported of its trial."""
        if "began" in event:
            self.running = Running(event["began"], time.monotonic())
        elif "finished" in event:
            self.running = None

    def hanging(self, trial_timeout: float) -> Running | None:
        """Its trial, if that runs far longer than it may: no time-out has reached it."""
        running = self.running  # once: a thread that listens may set it meanwhile
        now = time.monotonic()
        if running is None or now - running.began <= trial_timeout + HANGING:
            return None
        if running.ended is not None and now - running.ended <= HANGING:
            return None
        return running

    def ended(self, seconds: float) -> bool:
        """Whether the process has ended after some seconds at most."""
        if self.listener is None:
            return False
        self.listener.join(seconds)
        return not self.listener.is_alive()

    def close(self) -> None:
        """Closes the pipes of a process that has ended."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.listener is not None:
            self.listener.join()


def end_hanging(worker: Worker, hanging: Running, study: Study, trial_timeout: float) -> None:
    """Kills a worker if it still runs the trial that hung; this trial fails.

    If the study has the trial's end, the worker gets `HANGING` seconds to report it: this process
    may have been stopped (by Ctrl-Z, say), and then what the worker reported meanwhile isn't read
    yet.
    """
    trial = study.get_trials(deepcopy=False)[hanging.trial]
    if worker.running is not hanging:  # it has ended while the study was read
        return
    storage = study._storage
    reason = f"hung for longer than {duration(trial_timeout)} (trial_timeout)"
    try:
        # The reason first: another worker may repeat the trial once this one is dead.
        storage.set_trial_user_attr(trial._trial_id, FAILURE, reason)
    except UpdateFinishedTrialError:
        if hanging.ended is None:
            hanging.ended = time.monotonic()
            return
    worker.running = None
    worker.process.kill()
    worker.process.wait()
    with contextlib.suppress(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
