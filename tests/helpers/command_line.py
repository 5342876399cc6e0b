"""The command line, called in this process."""

import gc
import signal
import sys
from unittest import mock

import optuna

from optnas import cli


def exit_code(args):
    """Runs a command in this process, which keeps its signal handlers."""
    handlers = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        with mock.patch.object(sys, "argv", ["optnas", *map(str, args)]):
            cli.main()
    except SystemExit as end:
        return end.code or 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        gc.unfreeze()  # a command that only reads freezes what it read, as it ends soon
    return 0
