"""The command line, called in this process or in one of its own."""

import gc
import os
import signal
import subprocess
import sys
from unittest import mock

import optuna

from optnas import cli


def exit_code(args):
    """Runs a command in this process, which keeps its signal handlers."""
    handlers = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        with (
            mock.patch.object(sys, "argv", ["optnas", *map(str, args)]),
            mock.patch.object(gc, "freeze"),  # of a command that only reads, as it ends soon
        ):
            cli.main()
    except SystemExit as end:
        return end.code or 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
    return 0


def environment():
    """That of processes that can import what this one can, be it installed or not."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def start(*args, **settings):
    """A command in a process of its own; its standard output and error are pipes of text."""
    return subprocess.Popen(
        [sys.executable, "-m", "optnas", *map(str, args)],
        text=True,
        env=environment(),
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings,
    )


def wait_for_line(stream, text):
    assert any(text in line for line in stream), f"there was no line with {text!r}"
