"""Counts what a process asks of its storage: calls, SQL statements, ways there and back."""

import functools
import time
from collections import Counter

import sqlalchemy
from optuna.storages import GrpcStorageProxy
from optuna.storages._cached_storage import _CachedStorage
from sqlalchemy.engine import Engine

BEGIN_AND_COMMIT = 2
"""Round trips of a transaction of several statements; psycopg sends them one by one."""


def install():
    """Begins to count in this process, for whatever storage it opens from now on.

    A round trip is each statement, and each beginning and end of a transaction; the rows of one
    `executemany` travel together. To the proxy it is a call.

    Returns:
        Numbers by name, which grow: `calls` of the storage and the `storage_seconds` that they
        took, `round_trips`, `statements`, `reads` (SELECT) and `writes`, `transactions`, and
        `call NAME` for each method that was called, and `create_seconds` in which trials were made.
    """
    counts = Counter()
    for kind in (_CachedStorage, GrpcStorageProxy):
        for name in vars(kind):
            if name.startswith(("get_", "set_", "create_")):
                setattr(kind, name, _counted(getattr(kind, name), counts, name))
    sqlalchemy.event.listen(Engine, "before_cursor_execute", functools.partial(_statement, counts))
    sqlalchemy.event.listen(Engine, "begin", functools.partial(_begin, counts))
    return counts


def _counted(call, counts, name):
    @functools.wraps(call)
    def counted(self, *args, **settings):
        if counts["inside"]:  # a method that calls another one
            return call(self, *args, **settings)
        counts["inside"] += 1
        began = time.perf_counter()
        try:
            return call(self, *args, **settings)
        finally:
            counts["inside"] -= 1
            counts["calls"] += 1
            counts[f"call {name}"] += 1
            took = time.perf_counter() - began
            counts["storage_seconds"] += took
            if name == "create_new_trial":
                counts["create_seconds"] += took
            if isinstance(self, GrpcStorageProxy):
                counts["round_trips"] += 1

    return counted


def _statement(counts, _connection, _cursor, text, *_):
    counts["statements"] += 1
    counts["round_trips"] += 1
    counts["reads" if text.lstrip()[:6].upper() == "SELECT" else "writes"] += 1


def _begin(counts, connection):
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        counts["transactions"] += 1
        counts["round_trips"] += BEGIN_AND_COMMIT
