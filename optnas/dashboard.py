"""Optuna's dashboard for a study, with the trained weights as artifacts of its trials."""

from __future__ import annotations

from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import BaseStorage

from optnas.errors import InputError


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the page asks every few seconds."""


def make_dashboard(
    storage: BaseStorage, weights: Path, host: str = "127.0.0.1", port: int = 8080
) -> WSGIServer:
    """A server for the dashboard; `serve_forever()` starts it.

    The dashboard has no log-in: whoever reaches it can change and delete studies.

    Args:
        storage: The storage to show.
        weights: The folder of the trained weights.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one (`server.server_port`).

    Raises:
        InputError: The address can't be listened on.
    """
    app = optuna_dashboard.wsgi(storage, artifact_store=FileSystemArtifactStore(weights))
    try:
        return make_server(host, port, app, server_class=_Server, handler_class=_Quiet)
    except (OSError, OverflowError, TypeError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"can't listen on {host}:{port} ({reason}); try another --port or --host"
        ) from error
