"""Several processes on one study, which share its storage and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import TrialState

from optnas.devices import visible_gpus
from optnas.errors import InputError
from optnas.loop import Observer
from optnas.recovery import recover
from optnas.stopping import Stop
from optnas.text import duration
from optnas.trials import FAILURE

PATIENCE = 10.0
"""Seconds that a worker has to give up its trial before it is killed."""
HANGING = 60.0
"""Seconds beyond `trial_timeout` after which a worker that doesn't react is killed."""
MAX_DEATHS = 3
"""The run ends when so many deaths a worker leave no trial finished between them."""


class WorkerError(RuntimeError):
    """A person's code failed in a worker; the message has the traceback."""


class Display(Observer, Protocol):
    """What shows a run."""

    @property
    def interactive(self) -> bool:
        """Whether it shows epochs."""

    def say(self, text: str) -> None:
        """Something a person should know."""


@dataclass(frozen=True)
class Job:
    """What a worker is told; it imports the study file itself.

    Attributes:
        file: The study file.
        url: The storage.
        name: The study's name.
        overrides: What is overridden in the study file.
        accept_changes: Whether to go on although settings differ from the study's.
        hours: Time that is left; None sets no limit.
        epochs: Whether to tell of every epoch.
    """

    file: str
    url: str
    name: str
    overrides: dict[str, Any]
    accept_changes: bool
    hours: float | None = None
    epochs: bool = False


def check_workers(workers: int, file: Path | None, url: str) -> None:
    """Raises InputError unless processes can be started that find the study by themselves."""
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    if workers > 1 and file is None:
        raise InputError(
            f"workers={workers}: workers import the study file, and this search has none: put it "
            "into a file, and run optnas.load_search(file)"
        )
    if workers > 1 and not url:
        raise InputError(
            f"workers={workers}: workers open the storage by its URL: give one in place of an "
            "object"
        )


def run_workers(
    study: Study,
    job: Job,
    number: int,
    *,
    hours: float | None = None,
    threads: int = 1,
    device: str = "auto",
    trial_timeout: float | None = None,
    logs: Path = Path(),
    display: Display,
    stop: Stop | None = None,
) -> None:
    """Runs a study in processes of its own, until they find nothing left to do.

    A worker that dies is replaced, and its trial is repeated. The GPUs that are visible here are
    dealt out in turn (`CUDA_VISIBLE_DEVICES`), unless `device` names one.

    Args:
        study: The study, made already.
        job: What the workers are told.
        number: How many workers.
        hours: Time for this call; what is running then is finished.
        threads: CPU threads of each worker.
        device: Where they train and measure.
        trial_timeout: Seconds after which a trial fails.
        logs: Folder for what workers print and log.
        display: Told of every trial that begins and ends.
        stop: When it is requested, running trials are finished, and the call returns.

    Raises:
        InputError: A worker found bad input, or workers die without finishing anything.
        WorkerError: The code failed in a worker.
        KeyboardInterrupt: Running trials are given up and queued again first.
    """
    gpus = visible_gpus() if device in ("auto", "cuda") else []
    deadline = None if hours is None else time.monotonic() + 3600 * hours
    with _Crew(study, display, logs) as crew:

        def start(index: int) -> None:
            environment = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
            left = None if deadline is None else max(deadline - time.monotonic(), 0) / 3600
            crew.start(index, replace(job, hours=left), environment)

        if stop is not None:
            stop.pass_on = crew.finish
        for index in range(number):
            start(index)
        deaths = 0
        while crew.workers:
            for worker, event in crew.events():
                if "finished" in event:
                    deaths = 0
                if "left" in event and not crew.leave(worker, stop):
                    deaths += 1
                    if deaths > MAX_DEATHS * number:
                        raise InputError(
                            f"{deaths} workers died one after the other without finishing a trial "
                            f"({event['left']}); what they printed is in {logs}"
                        )
                    start(worker.index)
            if trial_timeout is not None:
                crew.end_hanging(trial_timeout)


class _Worker:
    """A worker's process, and what it has told."""

    def __init__(self, index: int, process: subprocess.Popen[str]) -> None:
        self.index = index
        self.process = process
        self.trial: int | None = None
        self.began = 0.0
        self.listener: threading.Thread | None = None

    def close(self) -> None:
        """Lets go of the pipes of a process that has ended."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.listener is not None:
            self.listener.join()


Event = dict[str, Any]


class _Crew:
    """The living workers; all of them are gone when the block is left."""

    def __init__(self, study: Study, display: Display, logs: Path) -> None:
        self.workers: list[_Worker] = []
        self._study = study
        self._display = display
        self._logs = logs
        self._remark = ""
        self._queue: queue.SimpleQueue[tuple[_Worker, Event]] = queue.SimpleQueue()

    def __enter__(self) -> _Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            worker.process.terminate()
        deadline = time.monotonic() + PATIENCE
        for worker in self.workers:
            try:
                worker.process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.close()
        if self.workers:
            recover(self._study)
        with contextlib.suppress(OSError):  # logs in which nothing stands
            for path in self._logs.glob("*.log"):
                if not path.stat().st_size:
                    path.unlink()
            self._logs.rmdir()

    def start(self, index: int, job: Job, environment: dict[str, str]) -> None:
        """Starts a worker."""
        self._logs.mkdir(exist_ok=True)
        # As multiprocessing's spawn does: what could be imported here can be imported there.
        code = f"import sys; sys.path[:] = {sys.path!r}; from optnas.worker import main; main()"
        path = self._logs / f"{socket.gethostname()}-worker{index + 1}.log"
        with open(path, "a") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,  # it ends when this process does
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment | os.environ | _only(environment, "CUDA_VISIBLE_DEVICES"),
                text=True,
                start_new_session=True,  # Ctrl-C is for this process to decide on
            )
        worker = _Worker(index, process)
        self.workers.append(worker)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died already
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
        worker.listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        worker.listener.start()

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        with worker.process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # half a line: it was killed
                    self._queue.put((worker, json.loads(line)))
        self._queue.put((worker, {"left": _how(worker.process.wait())}))

    def events(self) -> list[tuple[_Worker, Event]]:
        """What workers have told since, after telling the display; waits half a second at most."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._queue.get(timeout=0.5))
            while True:
                found.append(self._queue.get_nowait())
        for worker, event in found:
            self._show(worker, event)
        return found

    def _show(self, worker: _Worker, event: Event) -> None:
        if "error" in event:
            kind = InputError if event["input"] else WorkerError
            raise kind(event["error"])
        if "began" in event:
            worker.trial, worker.began = event["began"], time.monotonic()
            self._display.began(event["began"])
        elif "epoch" in event:
            self._display.epoch(*event["epoch"])
        elif "finished" in event:
            worker.trial = None
            trials = self._study.get_trials(deepcopy=False)
            self._display.finished(self._study, trials[event["finished"]])
        elif "recovered" in event:
            self._display.recovered(event["recovered"])
        elif "remark" in event:
            if event["remark"] != self._remark:  # all workers find the same database locked
                self._display.say(event["remark"])
            self._remark = event["remark"]
        elif "waiting" in event and len(self.workers) == 1:
            self._display.waiting(event["waiting"])

    def leave(self, worker: _Worker, stop: Stop | None) -> bool:
        """Takes a worker's end; False if it has died and is to be replaced."""
        self.workers.remove(worker)
        worker.close()
        code = worker.process.returncode
        if code == 0 or (stop is not None and stop.requested):
            return True
        self._display.say(f"worker {worker.index + 1} died ({_how(code)}); another one is started")
        return False

    def finish(self) -> None:
        """Lets every worker finish its trial and leave."""
        for worker in self.workers:
            worker.process.send_signal(signal.SIGINT)

    def end_hanging(self, trial_timeout: float) -> None:
        """Kills workers that hang in compiled code, where a time-out doesn't reach them."""
        for worker in self.workers:
            if worker.trial is None:
                continue
            if time.monotonic() - worker.began > trial_timeout + HANGING:
                trial = self._study.get_trials(deepcopy=False)[worker.trial]
                worker.trial = None
                storage = self._study._storage
                reason = f"hung for longer than {duration(trial_timeout)} (trial_timeout)"
                with contextlib.suppress(UpdateFinishedTrialError):
                    # The reason first: once it is dead, others may find its trial and repeat it.
                    storage.set_trial_user_attr(trial._trial_id, FAILURE, reason)
                worker.process.kill()
                worker.process.wait()
                with contextlib.suppress(UpdateFinishedTrialError):
                    storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def _only(environment: dict[str, str], name: str) -> dict[str, str]:
    return {name: environment[name]} if name in environment else {}


def _how(code: int) -> str:
    """How a process ended."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
