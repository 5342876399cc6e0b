"""Drawings of the networks that the page shows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna.study import Study

from optnas.report.networks import Network
from optnas.utils.text import number, plural

if TYPE_CHECKING:  # it imports torch, which takes a second
    from optnas.search.search import Search

MOST, SECONDS = 200, 20.0
"""Most networks that are drawn, and about how long that may take."""
WIDTH = 360
"""Of a drawing in the pane, in pixels."""


def pictures(
    study: Study, search: Search | str, rows: Sequence[Network]
) -> tuple[dict[int, str], str]:
    """An SVG by the number of the trial; and why some networks, or all, have none.

    The front and the baselines come first.
    """
    if isinstance(search, str):
        return {}, search
    from optnas.drawings import drawings_of

    wanted = [row.trial for row in sorted(rows, key=_is_other)]
    start = time.perf_counter()
    drawings_of(study, search, wanted[:2], width=WIDTH)
    each = (time.perf_counter() - start) / 2
    drawn = wanted[: min(MOST, max(int(SECONDS / each), 2))]
    left = len(wanted) - len(drawn)
    why = f"{number(len(drawn))} of {plural(len(wanted), 'network')} are drawn, the front first"
    return drawings_of(study, search, drawn, width=WIDTH), why if left else ""


def _is_other(row: Network) -> bool:
    return row.place != "front" and row.baseline is None
