"""Worker processes: started, listened to, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError, WorkerError
from optnas.runs.logs import in_folder, open_log, remove_empty
from optnas.runs.observer import Observer
from optnas.runs.starter import PATIENCE, Starter, starter
from optnas.runs.stop import Stop
from optnas.runs.tally import Tally
from optnas.runs.worker import Event, Worker, end_hanging

CODE = "from optnas.cli.worker_main import main; main()"
"""What a worker runs."""
MODULES = ("optnas.cli.worker_main", "optnas.cli.worker_job", "alembic.command")
"""What every worker imports before the study file, and what it opens a database with."""


@dataclass(frozen=True)
class Job:
    """What a worker process is told to do; it imports the study file itself.

    Attributes:
        file: The study file.
        url: The storage.
        name: The study's name.
        overrides: Settings that replace those of the study file.
        accept_changes: Whether settings may differ from the study's.
        hours: Time that is left; None sets no limit.
        epochs: Whether to report every epoch.
        folder: The working directory; by default this process's.
        worker: The worker's id, which its leases hold; empty for one on this machine.
        describes: Whether it only reports the settings that it finds, and runs nothing.
    """

    file: str
    url: str
    name: str
    overrides: dict[str, Any]
    accept_changes: bool
    hours: float | None = None
    epochs: bool = False
    folder: str | None = None
    worker: str = ""
    describes: bool = False


def worker_starter(log: Path) -> Starter:
    """What starts workers; the log is that of its server, if it has one."""
    return starter(CODE, MODULES, log)


def worker_environment(threads: int) -> dict[str, str]:
    """The environment of a worker that has this number of CPU threads."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)) | os.environ


class WorkerProcesses:
    """The living worker processes; all of them have ended when the block is left."""

    def __init__(
        self,
        study: Study,
        display: Observer,
        logs: Path,
        callbacks: Sequence[Callable[[Study, FrozenTrial], None]] = (),
        starter: Starter | None = None,
    ) -> None:
        self.workers: list[Worker] = []
        self._study = study
        self._display = display
        self._callbacks = callbacks
        self._logs = logs
        # Another run of this study may write to the same folder, from this machine, too.
        self._run = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        server = logs / f"{self._run}-server.log"
        self._starter = starter or worker_starter(server)
        self._opened: dict[Path, int] = {}
        self._server_log = server
        self._remark = ""
        self._finishing = False
        self._queue: queue.SimpleQueue[tuple[Worker, Event]] = queue.SimpleQueue()

    def __enter__(self) -> WorkerProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.process.terminate()
        deadline = time.monotonic() + PATIENCE
        for worker in self.workers:
            if not worker.ended(max(deadline - time.monotonic(), 0)):
                worker.process.kill()
            worker.close()
        self._starter.close()
        if self.workers:
            Tally(self._study).recover()
        for file in self._opened.values():
            os.close(file)
        remove_empty(self._logs, [*self._opened, self._server_log])

    def start(self, index: int, job: Job, environment: dict[str, str]) -> None:
        """Starts a worker."""
        log = self._logs / f"{self._run}-worker{index + 1}.log"
        if log not in self._opened:
            self._opened[log] = in_folder(self._logs, partial(open_log, log))
        # Its session is its own: this process decides what Ctrl-C does.
        process = self._starter.start(
            f"optnas work {index + 1}", os.dup(self._opened[log]), environment, job.folder
        )
        worker = Worker(index, process)
        self.workers.append(worker)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died already
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
        worker.listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        worker.listener.start()
        if self._finishing:  # since before this one was in the list
            worker.finish()

    def _listen(self, worker: Worker) -> None:
        assert worker.process.stdout is not None
        with worker.process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # half a line: it was killed
                    event = json.loads(line)
                    worker.take_in(event)  # here: the main thread may be in a callback for long
                    self._queue.put((worker, event))
        self._queue.put((worker, {"left": how_ended(worker.process.wait())}))

    def events(self) -> list[tuple[Worker, Event]]:
        """What workers have reported, shown on the display; waits half a second at most."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._queue.get(timeout=0.5))
            while True:
                found.append(self._queue.get_nowait())
        for _, event in found:
            self._show(event)
        return found

    def _show(self, event: Event) -> None:
        raise_error(event)
        if "began" in event:
            self._display.began(event["began"])
        elif "epoch" in event:
            self._display.epoch(*event["epoch"])
        elif "finished" in event:
            trials = self._study.get_trials(deepcopy=False)
            self._display.finished(self._study, trials[event["finished"]])
            for callback in self._callbacks:
                callback(self._study, trials[event["finished"]])
        elif "choosing" in event:
            self._display.choosing(event["choosing"])
        elif "recovered" in event:
            self._display.recovered(event["recovered"])
        elif "remark" in event:
            if event["remark"] != self._remark:  # all workers report the same locked database
                self._display.say(event["remark"])
            self._remark = event["remark"]
        elif "waiting" in event and len(self.workers) == 1:
            self._display.waiting(event["waiting"])

    def leave(self, worker: Worker, stop: Stop | None) -> bool:
        """Removes a worker that has ended; False if it died and has to be replaced."""
        self.workers.remove(worker)
        worker.close()
        code = worker.process.wait()
        if code == 0 or (stop is not None and stop.requested):
            return True
        self._display.say(
            f"worker {worker.index + 1} died ({how_ended(code)}); another one is started"
        )
        return False

    def finish(self) -> None:
        """Lets every worker finish its trial and end."""
        self._finishing = True
        for worker in self.workers:
            worker.finish()

    def end_hanging(self, trial_timeout: float) -> None:
        """Kills workers that hang in compiled code, where a time-out doesn't reach them."""
        for worker in self.workers:
            if (hanging := worker.hanging(trial_timeout)) is not None:
                end_hanging(worker, hanging, self._study, trial_timeout)


def raise_error(event: Event) -> None:
    """Raises the error that an event reports, if it does."""
    if "error" in event:
        kind = InputError if event["input"] else WorkerError
        raise kind(event["error"])


def how_ended(code: int | None) -> str:
    """How a process ended: the signal or the exit code."""
    if code is None:
        return "and so did the process that forked it, or it had too little memory"
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
