"""The arguments that a user's function takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def takes(function: Callable[..., Any], number: int) -> bool:
    """Whether a function can be called with a number of arguments by position, and no others."""
    try:
        inspect.signature(function).bind(*[None] * number)
    except TypeError:
        return False
    except ValueError:  # a function of C without a signature
        return True
    return True
