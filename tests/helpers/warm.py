"""One server forks the processes that tests start, and imports PyTorch once for all of them.

Where there are no forks, each is a new interpreter.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread

from optnas.runs.starter import starter
from optnas.runs.worker_process import CODE, MODULES

NOWHERE = Path(os.devnull)
OFTEN = (
    "optnas.cli.run",
    "optnas.cli.run_summary",
    "optnas.search.study_file",
    "optnas.storage.row_writes",
    "optnas.storage.rows",
    "optuna.storages._rdb.models",
    "sklearn.model_selection",
    "torch._dynamo",
)
"""What a command that trains imports in addition, for seconds; the first optimizer does it, too."""
# A forked process has the stream objects of the server, and pipes differ from files.
_PIPE = os.pipe()
_SERVER = starter(
    "import json, sys; exec(json.loads(sys.stdin.readline()))",
    (*MODULES, *OFTEN),
    Path(f"/dev/fd/{_PIPE[1]}"),
)
_STARTING = Lock()  # nodes in threads start workers at once, and each would start a server


def run(code, name="optnas test", log=NOWHERE, environment=os.environ, folder=None):
    """A process that runs code; its standard input and output are pipes of text."""
    with _STARTING:
        process = _SERVER.start(name, log, environment, folder)
    with suppress(BrokenPipeError):  # the server was killed, and with it the process
        process.stdin.write(json.dumps(code) + "\n")
        process.stdin.flush()
    return process


def end():
    """Ends the server."""
    _SERVER.close()


class Workers:
    """What a run starts its workers with, in place of a server that it would have to itself."""

    def start(self, *settings):
        return run(CODE, *settings)

    def close(self):
        """The server serves the next run."""


class Command:
    """`optnas` in a process; its members are those of `subprocess.Popen`.

    Args:
        args: The words of the command.
        before: Code that the process runs first.
    """

    def __init__(self, *args, before="pass"):
        words = ["optnas", *map(str, args)]
        code = f"{before}; import sys; sys.argv[:] = {words}; from optnas.cli import main; main()"
        read, write = os.pipe()
        self._process = run(code, log=Path(f"/dev/fd/{write}"))
        os.close(write)
        self.stdout, self.stderr = self._process.stdout, os.fdopen(read)
        self.returncode = None
        self._waiting = Thread(target=self._wait, daemon=True)
        self._waiting.start()

    def _wait(self):
        self.returncode = self._process.wait()

    def poll(self):
        return self.returncode

    def wait(self, seconds):
        """Waits for its end for so long at most, and returns its exit code as `poll` does."""
        self._waiting.join(seconds)
        return self.returncode

    def send_signal(self, number):
        self._process.send_signal(number)

    def communicate(self):
        """What it has still written to standard output and error, once it has ended."""
        with ThreadPoolExecutor(1) as pool, self.stdout, self.stderr, self._process.stdin:
            err = pool.submit(self.stderr.read)
            said = self.stdout.read(), err.result()
            self._waiting.join()
            return said
