"""Guards code that replaces private functions of Optuna and of its dashboard.

Such code names the functions that it was written for, each with a hash of its source, signature
included. Where the installed ones differ, the public way is taken, which is slower: an upgrade of
Optuna must neither damage a study nor stop a run.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

log = logging.getLogger("optnas")


@dataclass(frozen=True, eq=False)
class Private:
    """Private functions that a part of optnas was written for.

    Attributes:
        hashes: Hashes by name: `module:function`, `module:Class.method`, or a module as a whole.
        otherwise: What happens where the installed ones differ: the end of a warning.
    """

    hashes: Mapping[str, str]
    otherwise: str

    def is_known(self) -> bool:
        """Whether the installed functions are those; if not, a warning reports it once."""
        return _is_known(self)


@cache
def _is_known(private: Private) -> bool:
    changed = [name for name, expected in private.hashes.items() if digest(name) != expected]
    if changed:
        log.warning(
            "optnas was written for another version of %s (%s): %s",
            changed[0].partition(".")[0],
            ", ".join(name.rpartition(":")[2] for name in changed),
            private.otherwise,
        )
    return not changed


def digest(name: str) -> str:
    """The hash of a function's or module's source, by its name; empty where there is none."""
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        found = reduce(getattr, path.split("."), found) if path else found
        source = inspect.getsource(found)
    except (ImportError, AttributeError, OSError, TypeError):
        return ""
    return hashlib.sha256(source.encode()).hexdigest()[:16]
