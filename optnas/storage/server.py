"""PostgreSQL servers as Optuna storages: few connections, and patience with a server.

A server takes 100 connections by default. A worker keeps one; more are made for the moment in which
two of its threads speak at once. What only reads keeps none.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import uniform
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy.engine import URL

from optnas.errors import InputError, NoStudyError
from optnas.storage.faults import first_line
from optnas.storage.row_storage import RowStorage

POLL = 0.5
"""Seconds between two attempts to reach the server, about."""
UNUSED = 60.0
"""Seconds after which a connection that nobody used is tried before it is used."""
_FULL = ("too many clients", "too many connections", "connection slots", "no more connections")
"""What PostgreSQL and PgBouncer say where no connection is left; their drivers give no code."""

log = logging.getLogger("optnas")
T = TypeVar("T")


@dataclass(frozen=True)
class Trouble:
    """Why a server gives no connection now, though it may in a while.

    Attributes:
        what: What is the matter, for a message.
        seconds: How long to wait.
        quiet: Seconds after which a warning reports it.
    """

    what: str
    seconds: float
    quiet: float = 0.0


FULL = Trouble("the database server has no connection left; waiting for one", 300.0, 5.0)
AWAY = Trouble("the database is away; waiting for it", 60.0)


def server_storage(
    url: URL, shown: str, *, create: bool, kept: int, settled: str = ""
) -> RowStorage:
    """A storage on a PostgreSQL server.

    Args:
        url: Its URL.
        shown: The URL without its password, for messages.
        create: Whether to make the tables if they don't exist yet, and to write.
        kept: Connections to keep between transactions; none are kept to read.
        settled: See `RowStorage`.

    Raises:
        NoStudyError: Nothing is there, and nothing was to be made.
        InputError: The server has had no connection left for too long.
    """
    if url.drivername == "postgresql":  # the driver of the extra `postgres`
        url = url.set(drivername="postgresql+psycopg")
    full = url.render_as_string(hide_password=False)
    settings: dict[str, Any] = {"creator": _Connector(url)}
    if create:
        settings |= {"pool_size": kept}
    else:
        settings |= {"poolclass": sqlalchemy.pool.NullPool}
        engine = sqlalchemy.create_engine(full, **settings)
        if not sqlalchemy.inspect(engine).has_table("studies"):
            raise NoStudyError(f"there is no study in {shown} yet: `optnas run` makes one")
    # Optuna's check takes a second connection; these two need none.
    storage = RowStorage(full, settings, skip_compatibility_check=True, settled=settled)
    if storage.get_current_version() != storage.get_head_version():
        more = {"creator": settings["creator"]}
        storage = RowStorage(full, more, settled=settled)  # refused, with Optuna's reason
    if create:
        check = partial(_check, storage.engine.dialect)
        sqlalchemy.event.listen(storage.engine, "checkin", _note_time)
        sqlalchemy.event.listen(storage.engine, "checkout", check)
    return storage


def _note_time(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _check(dialect: Any, connection: Any, record: Any, _proxy: object) -> None:
    """Has a connection made anew that the server has closed, as it does when it restarts.

    The system knows that at once: there is something to read, its end. A query, as SQLAlchemy's
    `pool_pre_ping` sends, would be one more way there and back in each transaction. It is sent
    through a connection that was unused for long: a firewall may have dropped it silently.
    """
    unused = time.monotonic() - record.info.get("used", time.monotonic())
    try:
        if unused > UNUSED or _is_readable(connection):
            dialect.do_ping(connection)
    except Exception as error:
        raise sqlalchemy.exc.DisconnectionError from error


def _is_readable(connection: Any) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return bool(selector.select(0))


class _Connector:
    """Makes the connections of a storage, and waits for its server.

    A full server is waited for; so is one that is away, if it has answered before: it may be
    restarting.
    """

    def __init__(self, url: URL) -> None:
        dialect = url.get_dialect()()
        self._driver: Any = dialect.import_dbapi()
        self._args, self._settings = dialect.create_connect_args(url)
        self._has_answered = False

    def __call__(self) -> Any:
        connection = _patiently(
            lambda: self._driver.connect(*self._args, **self._settings), self._trouble
        )
        self._has_answered = True
        return connection

    def _trouble(self, error: Exception) -> Trouble | None:
        """What keeps the server from giving a connection; None if waiting doesn't help."""
        if any(text in str(error) for text in _FULL):
            return FULL
        failed = isinstance(error, self._driver.OperationalError)
        return AWAY if failed and self._has_answered else None


def _patiently(attempt: Callable[[], T], trouble: Callable[[Exception], Trouble | None]) -> T:
    """Repeats an attempt while its error is a trouble that may pass; a warning reports it."""
    began, said = time.monotonic(), False
    while True:
        try:
            return attempt()
        except Exception as error:
            found, waited = trouble(error), time.monotonic() - began
            if found is None:
                raise
            if waited > found.seconds:
                if found is not FULL:
                    raise
                raise InputError(
                    f"the database server has had no connection left for {waited:.0f} s "
                    f"({first_line(error)}): end other programs that use it, raise its "
                    "max_connections, or let workers share its connections (`optnas serve`)"
                ) from error
            if waited >= found.quiet and not said:
                log.warning("%s (%s)", found.what, first_line(error))
                said = True
            time.sleep(POLL * uniform(0.8, 1.2))
