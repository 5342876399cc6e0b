"""Multi-objective neural architecture optimization on Optuna."""

from typing import Any

import lazy_loader

__version__ = "0.1.0"

# The names stand in __init__.pyi; each is imported when it is first used, because torch takes
# seconds, and `optnas --help`, or a worker that looks values up in a table, doesn't need it.
_getattr, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    try:
        return _getattr(name)
    except AttributeError as error:
        if name in __all__ or name.startswith("__"):  # tools ask for the latter again and again
            raise
        import difflib

        close = difflib.get_close_matches(name, __all__, 1)
        what = f"did you mean {close[0]}?" if close else "dir(optnas) lists what there is"
        raise AttributeError(f"optnas has no {name!r}: {what}") from error
