"""Small plain tables in HTML, for notebooks; all text in them is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from optnas.utils.terminal import visible

_CELL = "text-align:{};vertical-align:top;padding:2px 10px 2px 0"


def escaped(text: object) -> str:
    """Text for HTML, on which nothing in it acts; control characters are shown."""
    return html.escape(visible(str(text)))


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    notes: Sequence[str] = (),
    left: Sequence[int] = (0,),
) -> str:
    """A table.

    Args:
        head: The names of the columns; empty for none.
        rows: The cells of each row, as plain text.
        title: A line above it.
        notes: Lines below it.
        left: The columns whose text begins at the left; numbers end at the right.
    """
    parts = [f"<div><b>{escaped(title)}</b></div>"] if title else []
    parts.append("<table style='border-collapse:collapse;font-variant-numeric:tabular-nums'>")
    if head:
        parts.append(f"<thead>{_row(head, 'th', left)}</thead>")
    parts.append(f"<tbody>{''.join(_row(row, 'td', left) for row in rows)}</tbody></table>")
    parts += [f"<div style='font-size:90%;opacity:.75'>{escaped(note)}</div>" for note in notes]
    return "".join(parts)


def _row(cells: Sequence[str], kind: str, left: Sequence[int]) -> str:
    texts = (
        f"<{kind} style='{_CELL.format('left' if i in left else 'right')}'>{escaped(cell)}</{kind}>"
        for i, cell in enumerate(cells)
    )
    return f"<tr>{''.join(texts)}</tr>"
