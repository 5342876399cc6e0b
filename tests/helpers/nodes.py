"""A cluster in this process: each worker is held by a thread, which can be lost like a node."""

import threading
import time
from contextlib import contextmanager
from pathlib import Path

from optnas.clusters.base import Cluster, Ending, Workers
from optnas.clusters.node_worker import NodeWorker


class Nodes(Cluster):
    """Holds its workers in threads.

    Args:
        detach: See `Cluster`.
        room: How many workers have room at once.
    """

    def __init__(self, detach=False, room=100):
        self.detach = detach
        self.workers = _Workers(room)
        self.need = None

    @contextmanager
    def connect(self, need):
        self.need = need
        yield self.workers


class _Node:
    def __init__(self, job, logs):
        self.job = job
        self.ending = None
        self.log = open(Path(logs) / job.log_name("node"), "ab")  # noqa: SIM115
        self.worker = NodeWorker(job, self.log.fileno())
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with self.log:
            ending = self.worker.run()
        self.ending = self.ending or ending


class _Workers(Workers):
    def __init__(self, room):
        self.room = room
        self.nodes = []
        self.pending = []
        self.dropped = []
        self.told = []
        self.started = 0

    def start(self, jobs, logs):
        Path(logs).mkdir(exist_ok=True)
        self.started += len(jobs)
        for job in jobs:
            if len(self.nodes) < self.room:
                self.nodes.append(_Node(job, logs))
            else:
                self.pending.append(job)
        return f"{len(jobs)} threads"

    def ended(self):
        found = [(job, Ending()) for job in self.dropped]
        self.dropped = []
        for node in [n for n in self.nodes if not n.thread.is_alive()]:
            self.nodes.remove(node)
            found.append((node.job, node.ending))
        return found

    def finish(self):
        self.dropped, self.pending = self.pending, []
        for node in self.nodes:
            node.worker.finish()
        self.told.append("finish")  # who waits for it finds that the workers have the signal

    def end(self):
        self.told.append("end")
        for node in self.nodes:
            node.worker.end()
        for node in self.nodes:
            node.thread.join()
        self.nodes = []

    def lose(self, why):
        """Loses a node with a running trial, as if its machine were switched off."""
        while not (found := [n for n in self.nodes if _is_running(n.worker._worker)]):
            time.sleep(0.01)  # it may not have been read yet that a trial has begun
        node = found[0]
        node.ending = Ending(why=why)
        node.worker._ending = True
        node.worker._worker.process.kill()


def _is_running(worker):
    return worker is not None and worker.running is not None
