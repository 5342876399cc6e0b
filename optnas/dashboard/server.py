"""Optuna's dashboard for a study, with figures, notes and artifacts that are kept up to date."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.dashboard.own_hosts import for_own_hosts
from optnas.dashboard.publisher import GRAPH, Publisher
from optnas.errors import InputError
from optnas.pareto.front import front_of
from optnas.plots import PLOTS
from optnas.storage.faults import storage_fault
from optnas.storage.guard import Private

REST = 3.0
"""Pause after each step, as a multiple of its duration: the same process serves the page, and other
processes run trials on the machine."""
LEAVE = 10.0
"""When the dashboard ends, a step in progress has this number of seconds to finish."""

FRONT = Private(
    {"optuna_dashboard._app:get_pareto_front_trials": "5bd3ef2c6acfe280"},
    "the dashboard finds the front by itself, which takes long where there are many trials",
)

log = logging.getLogger("optnas")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        super().__init__(address, handler)
        self._host = address[0]

    def set_app(self, application: Any) -> None:
        super().set_app(for_own_hosts(application, self._host))


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing, because the page sends a request every few seconds."""


def make_dashboard(
    storage: BaseStorage, weights: Path, host: str = "127.0.0.1", port: int = 8080
) -> WSGIServer:
    """A server for the dashboard; `serve_forever()` starts it.

    The dashboard has no log-in: anyone who reaches it can change and delete studies. It answers
    only for the hosts that it listens on, and no page of another origin.

    Args:
        storage: The storage to show.
        weights: The folder of the trained weights.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one (`server.server_port`).

    Raises:
        InputError: The address can't be listened on.
    """
    app = make_app(storage, weights)
    try:
        return make_server(host, port, app, server_class=_Server, handler_class=_SilentHandler)
    except (OSError, OverflowError, TypeError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"can't listen on {host}:{port} ({reason}); try another `port=` or `host=`"
        ) from error


def make_app(storage: BaseStorage, weights: Path) -> Any:
    """The dashboard as a WSGI application."""
    # Optuna's own function compares all pairs of trials for each view of the page, which takes half
    # a minute with 10,000 trials of four objectives.
    if FRONT.is_known():
        from optuna_dashboard import _app

        _app.get_pareto_front_trials = _front
    app: Any = optuna_dashboard.wsgi(storage, artifact_store=FileSystemArtifactStore(weights))
    app.install(_in_order)
    logging.getLogger("optuna_dashboard._bottle_util").addFilter(_SHORT)  # the same one, if again
    return app


def _front(trials: list[FrozenTrial], directions: list[StudyDirection]) -> list[FrozenTrial]:
    return front_of([t for t in trials if t.state == TrialState.COMPLETE], directions)


def _in_order(view: Callable[..., Any]) -> Callable[..., Any]:
    """A plugin for Bottle that sorts optnas's figures; the dashboard has them in random order."""
    order = [GRAPH + plot.key for plot in PLOTS]

    def ordered(*args: Any, **kwargs: Any) -> Any:
        answer = view(*args, **kwargs)
        if isinstance(answer, dict) and "plotly_graph_objects" in answer:
            answer["plotly_graph_objects"].sort(
                key=lambda graph: (
                    order.index(graph["id"]) if graph["id"] in order else len(order),
                    graph["id"],
                )
            )
        return answer

    return ordered


class _Short(logging.Filter):
    """Says once, in a line, why a part of the page can't be shown; Optuna adds the whole stack."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Shortens a record; False for one that was shown before."""
        reason = record.getMessage().partition("\n")[0].removeprefix("Exception: ")
        record.msg, record.args = f"a part of the page can't be shown: {reason}", ()
        is_new = reason not in self._said
        self._said.add(reason)
        return is_new


_SHORT = _Short()


@contextmanager
def publishing(publisher: Publisher, reopened: Callable[[], Publisher]) -> Iterator[None]:
    """Keeps a study's figures, notes and artifacts up to date in the background.

    Args:
        publisher: Updates them.
        reopened: Opens the study again, with what the page shows; called when the study isn't
            current any more.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_publish, args=(publisher, stop, reopened), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LEAVE)


def _publish(
    publisher: Publisher, stop: threading.Event, reopened: Callable[[], Publisher]
) -> None:
    """Updates until it is stopped; after an error it warns and tries again."""
    warned = ""
    while not stop.is_set():
        started = time.monotonic()
        try:
            if not publisher.is_current():
                publisher = reopened()
            for _ in publisher.update():
                if stop.wait(REST * (time.monotonic() - started)):
                    return
                started = time.monotonic()
            warned = ""
        except Exception as error:  # the page is served all the same
            name = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            reason = storage_fault(error) or f"{name}{error}"
            if reason != warned:
                log.warning(
                    "figures, notes or files can't be brought up to date just now: %s", reason
                )
            warned = reason
        stop.wait(publisher.pause)
