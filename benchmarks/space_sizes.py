"""How large the networks of each search space are: 500 random ones, parameters against MACs.

    python benchmarks/space_sizes.py

Builds and counts networks, and trains none; some minutes on one core. Writes
`results/space_sizes.json` and the figure `space_sizes.html` into the working directory. Where
Chromium is installed, it also writes the figure as `space_sizes.png`.
"""

import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import plotly.graph_objects as go
from plotly.subplots import make_subplots

import optnas
from optnas.metrics.counting import count_pass
from optnas.plots.style import BLUE, FAINT, INK
from optnas.search_spaces import SearchSpace, space_size
from optnas.testing.spaces import architectures

RESULTS = Path(__file__).parent / "results" / "space_sizes.json"
NETWORKS = 500
COLUMNS = 4


NOT_DRAWN = "SlimSpace"
"""In the table alone: its networks are parts of a given one."""


def spaces() -> dict[str, SearchSpace[Any]]:
    """Each space as its examples use it, by what is written above its panel."""
    image, small = (1, 28, 28), (1, 32, 32)
    return {
        "MLPSpace<br>20 numbers": optnas.MLPSpace((20,), 2),
        "TabularSpace<br>15 numbers, 5 categories": optnas.TabularSpace(15, (10,) * 5, 2),
        "SequenceSpace<br>50 steps of 8 numbers": optnas.SequenceSpace((50, 8), 2),
        "GPTSpace.small<br>64 of 100 tokens": optnas.GPTSpace.small(vocabulary=100, length=64),
        "MacroCNNSpace<br>1×28×28": optnas.MacroCNNSpace(image, 10),
        "MobileSpace.small<br>1×28×28": optnas.MobileSpace.small(image, 10),
        "ResNetSpace.small<br>1×28×28": optnas.ResNetSpace.small(image, 10),
        "CellSpace.small<br>1×28×28": optnas.CellSpace.small(image, 10),
        "NASBench201Space<br>3×32×32": optnas.NASBench201Space(),
        "ViTSpace.small<br>1×32×32": optnas.ViTSpace.small(small, 10),
        "UNetSpace.small<br>1×32×32, a class a pixel": optnas.UNetSpace.small(small, 4),
        "LoRASpace<br>lora_digits": optnas.load_search("lora_digits").space,
        "SlimSpace<br>digits_slim": optnas.load_search("digits_slim").space,
    }


@dataclass(frozen=True)
class Sizes:
    """The sizes of random networks.

    Attributes:
        networks: The number of different settings in the space, as text.
        macs: Multiply-accumulates of each network, for one example.
        params: Its parameters that are trained: under adapters, the others are frozen.
    """

    networks: str
    macs: list[int]
    params: list[int]


def sizes(space: SearchSpace[Any], number: int) -> Sizes:
    """Builds and counts random networks."""
    counted = list(_counted(space, number))
    macs, params = (list(column) for column in zip(*counted, strict=True))
    return Sizes(str(space_size(space.suggest)), macs, params)


def _counted(space: SearchSpace[Any], number: int) -> Iterator[tuple[int, int]]:
    for architecture, _ in architectures(space, number):
        network = space.build(architecture).eval()
        trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
        yield count_pass(network, space.example_inputs).macs, trained


def figure(found: dict[str, Sizes]) -> go.Figure:
    """One panel for each space, all with the same axes."""
    rows = math.ceil(len(found) / COLUMNS)
    panels = make_subplots(
        rows,
        COLUMNS,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[f"<b>{title}" for title in found],
        horizontal_spacing=0.02,
        vertical_spacing=0.09,
    )
    for i, of_space in enumerate(found.values()):
        panels.add_scatter(
            x=of_space.macs,
            y=of_space.params,
            mode="markers",
            marker={"color": BLUE, "size": 4, "opacity": 0.4},
            row=i // COLUMNS + 1,
            col=i % COLUMNS + 1,
        )
    panels.update_xaxes(
        showticklabels=True, type="log", dtick=1, exponentformat="SI", gridcolor="#eeeeee"
    )
    panels.update_yaxes(type="log", dtick=1, exponentformat="SI", gridcolor="#eeeeee")
    panels.update_annotations(font={"size": 13, "color": INK})
    panels.update_layout(
        template="plotly_white",
        showlegend=False,
        font={"color": FAINT},
        width=1100,
        height=110 + 260 * rows,
        margin={"l": 60, "r": 20, "t": 110, "b": 60},
        title={
            "text": f"<b>{NETWORKS} random networks of each space</b><br>"
            "<sup>parameters (upwards) against multiply-accumulates of one example (to the right)",
            "font": {"color": INK},
        },
    )
    return panels


def picture(page: Path, panels: int) -> None:
    """Draws a page with Chromium, if there is one."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return
    height = 120 + 260 * math.ceil(panels / COLUMNS)
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", f"--user-data-dir={profile}"),
                *(f"--window-size=1120,{height}", "--hide-scrollbars"),
                f"--screenshot={page.with_suffix('.png').resolve()}",
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
        )


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found: dict[str, Sizes] = {}
    results = {}
    print("| Space | Networks | MACs | Median | Parameters | Median |")
    print("| --- | --- | --- | --- | --- | --- |")
    for title, space in spaces().items():
        of_space = sizes(space, NETWORKS)
        if not title.startswith(NOT_DRAWN):
            found[title] = of_space
        name = title.replace("<br>", ", ")
        macs, params = quantiles(of_space.macs), quantiles(of_space.params)
        results[name] = {"networks": of_space.networks, "macs": macs, "params": params}
        texts = [f"{low:,} to {high:,} | {median:,}" for low, median, high in (macs, params)]
        print("|", " | ".join([name, of_space.networks, *texts]), "|", flush=True)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    page = Path("space_sizes.html")
    figure(found).write_html(page, config={"displayModeBar": False})
    picture(page, len(found))


def quantiles(counts: list[int]) -> tuple[int, int, int]:
    """The least, the median and the greatest."""
    return min(counts), round(np.median(counts)), max(counts)


if __name__ == "__main__":
    main()
