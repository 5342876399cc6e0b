"""Worker processes that begin at once: forked from a server that has imported what they need.

A new interpreter takes a second to import Optuna and the samplers; to be killed at a random moment,
a worker needs no interpreter of its own, only a process of its own.
"""

import multiprocessing

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "alembic.command",
        "alembic.migration",
        "common.opened_storage",
        "numpy.random",
        "optuna.storages._rdb.models",
        "optuna.storages._rdb.storage",
        "optnas.runs.loop",
        "optnas.samplers.acquisition",
        "optnas.samplers.aim",
        "optnas.samplers.evolution",
        "optnas.samplers.gaussian_process",
        "optnas.samplers.local_search",
        "optnas.samplers.predictor",
        "optnas.samplers.qlearning",
        "optnas.samplers.reinforce",
        "optnas.samplers.staged",
        "optnas.storage.few_rows",
        "optnas.storage.open",
        "optnas.storage.proxy",
        "optnas.storage.row_writes",
        "optnas.storage.rows",
        "psycopg",
        "scipy.optimize",
        "scipy.special",
        "sqlalchemy.dialects.sqlite",
        "sqlalchemy.orm",
    ]
)


def start(function, *args):
    """A `multiprocessing.Process` that calls a function of a module."""
    process = SERVER.Process(target=function, args=args)
    process.start()
    return process


def wait_for(processes, seconds=100):
    """Exit codes of processes; kills those that don't end."""
    try:
        for process in processes:
            process.join(seconds)
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.join()
