"""Output in Jupyter notebooks, which is HTML; nothing here loads IPython where it isn't in use."""

from __future__ import annotations

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether this is the process of a notebook: Jupyter, JupyterLab, VS Code, Colab."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if get is None else get()
    return getattr(shell, "kernel", None) is not None  # IPython on a terminal has none


class Output:
    """One output below the running cell, which can be replaced.

    Args:
        html: What it shows at first.
    """

    def __init__(self, html: str) -> None:
        from IPython.display import HTML, display

        self._html: Any = HTML
        self._handle: Any = display(HTML(html), display_id=True)

    def show(self, html: str) -> None:
        """Replaces what is shown."""
        self._handle.update(self._html(html))


def show(thing: object) -> None:
    """Shows an object below the running cell, as if it were the cell's last line."""
    from IPython.display import display

    display(thing)
