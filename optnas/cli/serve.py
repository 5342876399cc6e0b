"""`optnas serve`: Optuna's proxy for a storage."""

from __future__ import annotations

from typing import Annotated

import typer

from optnas.cli.console import echo, until_interrupted
from optnas.cli.options import LOCAL


def serve(
    storage: Annotated[
        str, typer.Argument(help="URL of a PostgreSQL storage: postgresql://user@host/database.")
    ],
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 13000,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The proxy has no log-in.")
    ] = "127.0.0.1",
) -> None:
    """Let workers share a storage through Optuna's proxy: they open grpc://HOST:PORT."""
    from optnas.storage.proxy import make_proxy
    from optnas.study.attributes import ARCHITECTURE

    server, port = make_proxy(storage, host, port, settled=ARCHITECTURE)
    if host not in LOCAL:
        echo("the proxy has no log-in: everyone who reaches it can delete studies", err=True)
    server.start()
    echo(f"grpc://{host}:{port}  (Ctrl-C ends)")
    with until_interrupted():
        server.wait_for_termination()
