"""A figure as a page: one file that opens offline and prints, a fifth of what plotly writes."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from optnas.utils.whole_file import not_written, whole_file


def write_figure(figure: go.Figure, path: Path) -> None:
    """Writes a figure as a page, whole or not at all.

    Raises:
        InputError: The file can't be written.
    """
    try:
        with whole_file(path) as part:
            part.write_text(figure_html(figure), encoding="utf-8", errors="replace")
    except OSError as error:
        raise not_written(path, error) from error


def figure_html(figure: go.Figure) -> str:
    """The page of a figure."""
    title = str(figure.layout.title.text or "figure").split("<br>")[0]
    scripts = [asset("packed.js"), asset("figure.js")]
    return Template(asset("figure.html")).substitute(
        title=title.replace("<b>", "").replace("</b>", ""),  # escaped, as plotly wants it
        policy=policy([*scripts, get_plotlyjs()]),
        style=asset("figure.css"),
        width=least_width(figure),
        height=figure.layout.height or 0,
        figure=safe_json(str(figure.to_json())),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        packed=packed_plotly(),
    )


def least_width(figure: go.Figure) -> int:
    """The least width in pixels at which a figure's texts don't collide; 0 for any."""
    return int((figure.layout.meta or {}).get("least_width", 0))


def safe_json(text: str) -> str:
    """JSON that stands safely inside a `<script>`."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(scripts: Iterable[str]) -> str:
    """The page may run these scripts and no other, and load nothing."""
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() + "'"
        for s in scripts
    ]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def packed(name: str, text: str) -> str:
    """A text as part of a page, whose scripts unpack it by its name (`packed.js`)."""
    data = base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
    return f'<script type="application/gzip" id="{name}">{data}</script>'


@cache
def packed_plotly() -> str:
    """Plotly's own script, packed."""
    return packed("plotly", get_plotlyjs())


def asset(name: str) -> str:
    """A file of this folder, as text."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
