"""What runs on a node of a Ray cluster: an actor that holds one worker."""

from __future__ import annotations

import os
import tempfile

from optnas.clusters.base import Ending, NodeJob
from optnas.clusters.node_worker import NodeWorker


class RayNode:
    """Holds a worker; Ray calls each method in a thread of its own.

    Args:
        job: What the worker does.
    """

    def __init__(self, job: NodeJob) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._worker = NodeWorker(job, self._log.fileno())

    def run(self) -> Ending:
        """Runs the worker to its end."""
        return self._worker.run()

    def finish(self) -> None:
        """Lets the worker finish its trial and end."""
        self._worker.finish()

    def end(self) -> None:
        """Ends the worker, which queues its trial again."""
        self._worker.end()

    def read(self, start: int, most: int) -> bytes:
        """What the worker has printed and logged, from a byte on."""
        return os.pread(self._log.fileno(), most, start)
