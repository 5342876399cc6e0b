"""Light workers that wait before a trial until their test has come as far as they have."""

import os
import time
from functools import partial

from common import light_workers, processes


def start(job, gates):
    """A worker, which is a `multiprocessing.Process`.

    Args:
        job: What it does (see `light_workers.Job`).
        gates: Pairs: a trial of this number or a later one waits until there is this file.
    """
    return processes.start(work, job, gates)


def work(job, gates):
    light_workers.objective = partial(held, light_workers.objective, gates)
    light_workers.work(job)


def held(objective, gates, job, trial):
    while any(trial.number >= number and not os.path.exists(path) for number, path in gates):
        time.sleep(0.01)
    return objective(job, trial)
