"""Starts a command, and ends it with all that it has started: a program of its own.

It is run by its path, so that it starts in a moment: it imports the standard library and psutil
alone. Its standard input closes when the evaluator has no use for the command any more, or when the
evaluator's process dies, be it by `kill -9`: then the command is ended. Its standard output tells
what happens, a line of JSON each; the command's two outputs are its standard error.

On Linux it adopts what the command's processes leave behind, so that it ends daemons, too.
Elsewhere only those that are still children of the command's processes, or in its process group.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil

POLL = 0.02
"""Seconds between two looks at whether they have ended."""
ADOPT_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""


def main(grace: float, command: list[str]) -> None:
    """Runs a command to its end, or until standard input closes.

    Args:
        grace: Seconds that processes have to end after SIGTERM; then SIGKILL ends them.
        command: The program and its arguments.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not ignored: the command would inherit that.
        signal.signal(number, lambda *_: None)
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=2, stderr=2, process_group=0
        )
    except (OSError, ValueError) as error:
        tell(error=getattr(error, "strerror", None) or str(error))
        return
    tell(pid=process.pid)
    threading.Thread(target=_end_when_told, args=(process.pid, grace), daemon=True).start()
    ended = status = 0
    while ended != process.pid:
        ended, status = os.wait()  # of adopted processes, too
    end_all(process.pid, grace)
    tell(code=os.waitstatus_to_exitcode(status))


def tell(**event: object) -> None:
    """Tells the evaluator what happened."""
    with suppress(OSError):  # its process is dead
        os.write(1, (json.dumps(event) + "\n").encode())


def _end_when_told(group: int, grace: float) -> None:
    while os.read(0, 1024):
        pass
    end_all(group, grace)


def end_all(group: int, grace: float) -> None:
    """Ends a process group and all other descendants, with SIGTERM first."""
    deadline = time.monotonic() + grace
    asked: set[int] = set()
    while found := living():
        late = time.monotonic() > deadline
        for process in found:
            if late or process.pid not in asked:
                asked.add(process.pid)
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL if late else signal.SIGTERM)
                    process.send_signal(signal.SIGCONT)  # a stopped one sees no SIGTERM
        if late:
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        time.sleep(POLL)


def living() -> list[psutil.Process]:
    """All descendants of this process that haven't ended."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
    os._exit(0)  # the thread may be reading
