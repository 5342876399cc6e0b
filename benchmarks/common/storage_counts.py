"""Counts what a process asks of its storage: calls, SQL statements, transactions, round trips."""

import time
from collections import Counter

import sqlalchemy
from optuna.storages import BaseStorage
from sqlalchemy.engine import Engine

READS = ("get_",)


def install(storage: BaseStorage) -> Counter:
    """Begins to count what this process asks of a storage from now on.

    A round trip to PostgreSQL is each statement, and each BEGIN and COMMIT (psycopg sends them one
    by one); the rows of one `executemany` travel together. A round trip to the proxy is a call.

    Returns:
        The numbers by name, which grow: `statements`, `round_trips`, `rows`, `seconds` in storage
        calls, and the name of each method of the storage.
    """
    counts: Counter = Counter()
    _count_calls(storage, counts)
    backend = getattr(storage, "_backend", None)
    if backend is not None:
        _count_sql(backend.engine, counts)
    return counts


def _count_calls(storage: BaseStorage, counts: Counter) -> None:
    for name in dir(BaseStorage):
        if name.startswith(("get_", "set_", "create_", "_set_", "_get_")):
            _wrap(storage, name, counts)


def _wrap(storage, name, counts):
    call = getattr(storage, name, None)
    if call is None:
        return

    def counted(*args, **settings):
        began = time.perf_counter()
        try:
            return call(*args, **settings)
        finally:
            counts[name] += 1
            counts["seconds"] += time.perf_counter() - began

    setattr(storage, name, counted)


def _count_sql(engine: Engine, counts: Counter) -> None:
    def statement(_connection, _cursor, text, *_):
        counts["statements"] += 1
        counts["round_trips"] += 1
        words = text.split()
        counts[f"sql {words[0].lower()}"] += 1

    def transaction(connection):
        autocommit = connection.get_isolation_level() == "AUTOCOMMIT"
        counts["round_trips"] += 0 if autocommit else 2

    sqlalchemy.event.listen(engine, "before_cursor_execute", statement)
    sqlalchemy.event.listen(engine, "begin", transaction)
