"""What many workers come to: operations times latency, and what a server has.

A trial takes its training and an overhead: the round trips to the storage, each with a latency, and
the rest, the worker's own computing. Both grow with the number of workers on the machines of the
measurement, so each is a line through the measured points; what is predicted beyond them is checked
by measuring there.

Where each worker has a core of its own, the server's processor time for a trial is what grows: the
trials of a second times that must fit into its cores.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

CONNECTIONS = 97
"""Connections that PostgreSQL gives by default: 100, less the 3 that it keeps for superusers."""


class Line(NamedTuple):
    """A straight line over the number of workers."""

    at_0: float
    slope: float

    def at(self, workers):
        return max(self.at_0 + self.slope * workers, 0.0)


def line(workers, values):
    """The least-squares line; one that would fall is the mean, because nothing gets cheaper."""
    if len(workers) < 2:
        return Line(float(np.mean(values)), 0.0)
    slope, at_0 = np.polyfit(workers, values, 1)
    if slope < 0:
        return Line(float(np.mean(values)), 0.0)
    return Line(float(at_0), float(slope))


@dataclass
class Model:
    """Lines for one storage.

    Attributes:
        seconds: Of a training.
        round_trips: A trial.
        latency: Seconds of a round trip, the storage's work and the waiting for a core included.
        rest: Seconds of a trial that are neither training nor storage.
        server: Processor seconds of the server for a trial; of the proxy, too, where there is one.
        creation: The least seconds in which a trial was made; the study is locked meanwhile.
    """

    seconds: float
    round_trips: Line
    latency: Line
    rest: Line
    server: dict[str, Line]
    creation: float

    @classmethod
    def of(cls, rows):
        """The lines through measured rows of `scale.py`."""
        workers = [row["workers"] for row in rows]

        def through(*names):
            return line(workers, [_at(row, names) for row in rows])

        return cls(
            seconds=rows[0]["seconds"],
            round_trips=through("round_trips"),
            latency=line(workers, [row["storage_seconds"] / row["round_trips"] for row in rows]),
            rest=through("rest_seconds"),
            server={name: through("cpu", name) for name in ("server", "proxy")},
            creation=min(row["creation_seconds"] for row in rows),
        )

    def busy(self, workers):
        """The share of their time in which workers train, on machines like the measured ones."""
        overhead = self.round_trips.at(workers) * self.latency.at(workers) + self.rest.at(workers)
        return self.seconds / (self.seconds + overhead)

    def needs(self, workers):
        """What a server needs for this number of workers, each with a core of its own elsewhere."""
        trials = workers / self.seconds  # a second, at most
        needs = {f"{name}_cores": trials * part.at(workers) for name, part in self.server.items()}
        return {
            "connections": workers + 1 if not self.server["proxy"].at(workers) else 10,
            "trials_per_second": trials,
            # The study is locked while a trial gets its number.
            "share_of_time_locked": trials * self.creation,
        } | needs

    def first_to_give_way(self, cores=2):
        """The limits by the number of workers at which each is reached, the nearest first.

        One process of Python, such as the proxy, uses one core.
        """
        limits = {} if self.server["proxy"].at(1) else {"connections": CONNECTIONS - 1}
        for name, has in (("server", cores), ("proxy", 1)):
            limits[f"{name}'s {has} core{'s' * (has > 1)}"] = self._workers_for(name, has)
        limits["the lock under which trials are made"] = int(self.seconds / self.creation)
        return dict(sorted(((k, v) for k, v in limits.items() if v), key=lambda item: item[1]))

    def _workers_for(self, name, cores):
        for workers in np.unique(np.geomspace(1, 1e6, 2000).astype(int)):
            if workers / self.seconds * self.server[name].at(int(workers)) > cores:
                return int(workers)
        return 0


def _at(row, names):
    for name in names:
        row = row[name]
    return row
