"""The front as CSV."""

from __future__ import annotations

import csv
import io

from optnas.callbacks.facts import FrontFacts


def as_csv(front: FrontFacts) -> str:
    """The table of a front, with a line of names; an empty cell is a value that there isn't."""
    text = io.StringIO()
    writer = csv.DictWriter(text, front.columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(front.rows)
    return text.getvalue()
