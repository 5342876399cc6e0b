"""One server for the worker processes of all runs in this process: it imports PyTorch once."""

from optnas.runs.starter import starter
from optnas.runs.worker_process import CODE, MODULES


class WorkerServer:
    """A starter that outlives the runs that use it."""

    def __init__(self, log):
        self._server = starter(CODE, MODULES, log)

    def start(self, *args):
        return self._server.start(*args)

    def close(self):
        """A run has ended; the server serves the next one."""

    def end(self):
        self._server.close()
