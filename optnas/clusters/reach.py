"""Whether workers on other machines reach a storage."""

from __future__ import annotations

from optnas.errors import InputError
from optnas.storage.urls import parse_url, shown_url

LOOPBACK = ("localhost", "127.0.0.1", "::1")
WAYS = (
    "give the URL of a PostgreSQL server (`storage='postgresql://user@host/database'`), or of "
    "Optuna's proxy in front of one, which `optnas serve` starts (grpc://host:port), or a journal "
    "on a file system that the nodes share (`storage='study.journal'`)"
)
"""The storages that workers on several machines may use."""


def check_reach(url: str, where: str) -> None:
    """Raises InputError unless workers on other machines can use the storage.

    Args:
        url: The storage.
        where: Where the workers run, for the message.
    """
    kind, parsed = parse_url(url)
    if kind == "sqlite":
        raise InputError(
            f"the storage is an SQLite file, and {where}, where SQLite isn't safe: {WAYS}"
        )
    if kind in ("postgresql", "grpc") and (parsed.host or "localhost") in LOOPBACK:
        raise InputError(
            f"storage {shown_url(url)} means each node's own machine, and {where}: give the name "
            "of the server's host in place of localhost"
        )
