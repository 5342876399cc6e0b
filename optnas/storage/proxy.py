"""Optuna's storage proxy: many workers reach one database through it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from optnas.errors import InputError
from optnas.storage.open import close_storage, open_storage
from optnas.storage.urls import database_url, kind_of

THREADS = 10
"""Requests that are answered at once: the number of Optuna's own server."""


def make_proxy(url: str, host: str, port: int, *, settled: str = "") -> tuple[Any, int]:
    """A gRPC server for a storage, and its port; `start()` starts it.

    It has no log-in: anyone who reaches it can change and delete studies.

    Args:
        url: The storage; a PostgreSQL database. Anything else is refused.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        settled: See `RowStorage`.

    Raises:
        InputError: The storage doesn't work behind a proxy, or the address can't be listened on.
    """
    known = database_url(url)
    kind = kind_of(known) if known else None
    if kind != "postgresql":
        given = f"a {kind} storage" if kind else f"{url!r}, which is no URL,"
        raise InputError(
            f"{given} doesn't work behind Optuna's proxy: give the URL of a PostgreSQL database, "
            "postgresql://user@host/database"
            + ("; workers on one machine open the file themselves" if kind == "sqlite" else "")
            + ("; workers open the journal themselves" if kind == "journal" else "")
        )
    if not 0 <= port < 65536:
        raise InputError(f"port must be 0 to 65535, got {port}")
    try:
        import grpc
        from optuna.storages._grpc.auto_generated.api_pb2_grpc import (
            add_StorageServiceServicer_to_server as add_service,
        )
        from optuna.storages._grpc.servicer import OptunaStorageProxyService
    except ImportError as error:
        raise InputError(f"serve needs a package: pip install 'optnas[grpc]' ({error})") from error
    storage = open_storage(url, create=True, kept=THREADS, settled=settled)
    # Otherwise a second server could listen on the same port, and take half of the requests.
    options = [("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(THREADS), options=options)
    add_service(OptunaStorageProxyService(storage), server)
    try:
        return server, server.add_insecure_port(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        )
    except (RuntimeError, ValueError, TypeError) as error:
        close_storage(storage)
        raise InputError(
            f"can't listen on {host}:{port}; try another `port=` or `host=`"
        ) from error
