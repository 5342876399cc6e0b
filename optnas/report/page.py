"""From the data to the page: one file, which asks for nothing from any network."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from optuna.study import Study
from plotly.offline import get_plotlyjs

from optnas.plots.page import asset, packed, packed_plotly, policy, safe_json
from optnas.report.data import NO_SEARCH, ReportData, report_data
from optnas.report.figures import Figure
from optnas.study.elsewhere import OtherDevice
from optnas.utils.whole_file import not_written, whole_file

if TYPE_CHECKING:
    from optnas.search.search import Search

SCRIPTS = ("base.js", "table.js", "pane.js", "gallery.js", "figures.js", "elsewhere.js", "page.js")
CHUNK = 500
"""Trials whose details are unpacked together, when one of them is first looked at."""


def write_report(
    study: Study,
    path: Path,
    *,
    url: str = "",
    search: Search | str = NO_SEARCH,
    devices: Iterable[OtherDevice] = (),
) -> None:
    """Writes a page about a study, whole or not at all.

    Args:
        study: Any Optuna study.
        path: The file; one that is there is replaced.
        url: The study's storage, for the commands that the page shows.
        search: What the study was run with, for drawings of its networks; or why it isn't known.
        devices: What was measured on other devices (`optnas.study.elsewhere.other_devices`).

    Raises:
        InputError: The file can't be written.
    """
    text = report_html(study, url=url, search=search, devices=devices)
    try:
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise not_written(path, error) from error


def report_html(
    study: Study,
    *,
    url: str = "",
    search: Search | str = NO_SEARCH,
    devices: Iterable[OtherDevice] = (),
) -> str:
    """The page about a study (see `write_report`)."""
    return render(report_data(study, url=url, search=search, devices=devices))


def render(data: ReportData) -> str:
    """The page that shows the data.

    What the table needs comes first, as JSON. Then the scripts; then, packed, what is unpacked when
    it is needed: details of trials, figures, and plotly.
    """
    scripts = [asset("packed.js"), *map(_file, SCRIPTS)]
    first = data._asdict()
    del first["details"]
    first |= {
        "chunk": CHUNK,
        "networks": {
            "columns": [column._asdict() for column in data.networks.columns],
            "rows": _by_column(data.networks.rows),
        },
        "figures": [_heading(figure) for figure in data.figures],
        "elsewhere": [
            part._asdict() | {"figure": _heading(part.figure)} for part in data.elsewhere
        ],
    }
    every = [*data.figures, *(part.figure for part in data.elsewhere)]
    parts = {f"figure-{figure.key}": figure.json for figure in every if figure.json}
    for start in range(0, len(data.details), CHUNK):
        parts[f"trials-{start // CHUNK}"] = as_json(data.details[start : start + CHUNK])
    return Template(_file("page.html")).substitute(
        title=html.escape(data.title),
        policy=policy([*scripts, get_plotlyjs()]),
        style=asset("figure.css") + _file("page.css"),
        data=as_json(first),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        packed="\n".join([*map(packed, parts, parts.values()), packed_plotly()]),
    )


def as_json(value: Any) -> str:
    """JSON that stands safely inside a `<script>`; infinite numbers and NaN are strings."""
    return safe_json(json.dumps(_plain(value), allow_nan=False, separators=(",", ":")))


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _by_column(rows: Iterable[Any]) -> dict[str, list[Any]]:
    """A list for each field: names that stand once take no room in each of 10,000 rows."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row._asdict().items():
            columns.setdefault(key, []).append(value)
    return columns


def _heading(figure: Figure) -> dict[str, Any]:
    """A figure without what is drawn."""
    return {key: value for key, value in figure._asdict().items() if key != "json"}


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
