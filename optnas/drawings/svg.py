"""The drawing of a network as an SVG that needs no other file."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from optnas.drawings.blocks import ArchitectureDrawing, Block, Stage
from optnas.plots.style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILLION
from optnas.plots.texts import short, si

COLORS = {
    "conv": BLUE,
    "depthwise conv": SKY,
    "linear": ORANGE,
    "attention": PURPLE,
    "recurrent": VERMILLION,
    "embedding": "#f0e442",
    "pool": GREEN,
    "other": GREY,
}
BLOCKS = 72
"""Most blocks that are drawn; the number of further blocks is stated."""
WIDE, HIGH, GAP, PITCH = 106, 46, 8, 96
"""In pixels: width and height of a block, the gap between blocks, and from one row to the next."""
LEFT, HEAD = 10, 62
"""In pixels: the margin on the left, and the height of the heading."""


class Largest(NamedTuple):
    """The most MACs and parameters among the networks that are shown side by side."""

    macs: int
    params: int


def drawing_svg(
    data: ArchitectureDrawing, *, width: int = 700, largest: Largest | None = None
) -> str:
    """Draws a network from left to right, in rows.

    Each block has two bars: its share of the network's MACs, and its share of the parameters.

    Args:
        data: The network.
        width: Width in pixels; the height follows from the number of rows.
        largest: The largest totals among the drawings of a page; if given, the network's totals
            have bars too, in this scale.

    Returns:
        An SVG element, which shrinks to the width of the page.
    """
    columns = max(1, (width - 2 * LEFT + GAP) // (WIDE + GAP))
    placed = list(_placed(data.stages, columns))
    shown = placed[:BLOCKS]
    rows = shown[-1].row + 1 if shown else 0
    bottom, foot = _foot(shown, len(placed) - len(shown), HEAD + rows * PITCH, width)
    parts = [
        *_head(data, width, largest),
        *_brackets(shown),
        *(line for at in shown for line in _block(data, at)),
        foot,
    ]
    return _svg(data.name, width, round(bottom), parts)


def refusal_svg(name: str, reason: str, *, width: int = 700) -> str:
    """A placeholder for a network that can't be drawn, with the reason."""
    lines = textwrap.wrap(reason, width // 6)
    parts = [_text(LEFT, 20, name, size=13, weight="bold")]
    parts += [_text(LEFT, 40 + 15 * i, line, size=11) for i, line in enumerate(lines)]
    return _svg(name, width, 48 + 15 * len(lines), parts)


def _svg(name: str, width: int, height: int, parts: Sequence[str]) -> str:
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
        f"height='{height}' style='max-width:100%;height:auto' role='img' "
        "font-family='Helvetica,Arial,sans-serif'>"
    )
    title = f"<title>{_escaped(name)}</title>"
    paper = f"<rect width='{width}' height='{height}' fill='white'/>"
    return "\n".join([head, title, paper, *parts, "</svg>"])


class _Placed(NamedTuple):
    block: Block
    stage: Stage
    times: int
    column: int
    row: int

    @property
    def x(self) -> float:
        return LEFT + self.column * (WIDE + GAP)

    @property
    def y(self) -> float:
        return HEAD + self.row * PITCH + 18


def _placed(stages: Sequence[Stage], columns: int) -> Iterator[_Placed]:
    i = 0
    for stage in stages:
        for block in stage.blocks:
            yield _Placed(block, stage, stage.times * block.times, i % columns, i // columns)
            i += 1


def _head(data: ArchitectureDrawing, width: int, largest: Largest | None) -> Iterator[str]:
    if data.name:
        yield _text(LEFT, 20, short(data.name, width // 7), size=13, weight="bold")
    for i, (name, value, most) in enumerate(
        (
            ("MACs", data.macs, largest.macs if largest else 0),
            ("parameters", data.params, largest.params if largest else 0),
        )
    ):
        x, room = LEFT + i * width // 2, width // 2 - 150
        yield _text(x, 42, f"{si(value, 3)} {name}", size=11)
        if most:
            yield _bar(x + 105, 35, max(room * value / most, 1), 8, INK if i == 0 else GREY)


def _brackets(placed: Sequence[_Placed]) -> Iterator[str]:
    """A line over the blocks of a module in each row, with its name and how often it repeats."""
    spans: dict[tuple[int, int], list[_Placed]] = {}
    for at in placed:
        if at.stage.path:
            spans.setdefault((id(at.stage), at.row), []).append(at)
    for blocks in spans.values():
        first, last = blocks[0], blocks[-1]
        y, end = first.y - 6, last.x + WIDE
        times = f" × {first.stage.times}" if first.stage.times > 1 else ""
        room = int((end - first.x) // 6)
        yield (f"<path d='M{first.x} {y + 3}V{y}H{end}V{y + 3}' fill='none' stroke='{GREY}'/>")
        path = short(first.stage.path, max(room - len(times), 4))
        yield _text(first.x, y - 3, f"{path}{times}", size=10, color=FAINT)


def _block(data: ArchitectureDrawing, at: _Placed) -> Iterator[str]:
    block, x, y = at.block, at.x, at.y
    color = COLORS[block.kind]
    shares = (
        ("MACs", block.macs * at.times, data.macs, INK),
        ("parameters", block.params * at.times, data.params, GREY),
    )
    output = "×".join(map(str, block.output))
    times = f" × {block.times}" if block.times > 1 else ""
    tooltip = [
        f"{block.path or '(the model itself)'}: {block.title}{times}",
        " ".join(block.after),
        f"output {output}" if output else "",
        *(f"{value:,} {name}" for name, value, _, _ in shares),
    ]
    yield f"<g><title>{_escaped(', '.join(filter(None, tooltip)))}</title>"
    yield (
        f"<rect x='{x}' y='{y}' width='{WIDE}' height='{HIGH}' rx='3' fill='{_tint(color)}' "
        f"stroke='{color}'/>"
    )
    yield f"<rect x='{x}' y='{y}' width='4' height='{HIGH}' fill='{color}'/>"
    yield _text(x + 9, y + 14, short(f"{block.title}{times}", 18), size=10, weight="bold")
    if output:
        yield _text(x + 9, y + 27, short(output, 18), size=10)
    if block.after:
        yield _text(x + 9, y + 39, short(" ".join(block.after), 20), size=9, color=FAINT)
    for i, (_, value, whole, shade) in enumerate(shares):
        share = value / whole if whole else 0.0
        top = y + HIGH + 4 + 10 * i
        yield _bar(x, top, max((WIDE - 28) * share, 0.5 if value else 0), 6, shade)
        if share >= 0.005:
            yield _text(x + WIDE, top + 6, f"{share:.0%}", size=8, color=FAINT, anchor="end")
    yield "</g>"


def _foot(shown: Sequence[_Placed], left_out: int, top: float, width: int) -> tuple[float, str]:
    """The legend of colours and bars, drawn from `top` on; and the height at which it ends."""
    entries = [(kind, COLORS[kind], 9) for kind in dict.fromkeys(at.block.kind for at in shown)]
    entries += [("share of MACs", INK, 6), ("of parameters", GREY, 6)]
    parts = []
    x, y = LEFT, top + 12
    for text, color, high in entries:
        long = 24 + 5 * len(text)
        if x > LEFT and x + long > width:
            x, y = LEFT, y + 14
        parts.append(_bar(x, y - high, 9, high, color))
        parts.append(_text(x + 13, y, text, size=9, color=FAINT))
        x += long
    if left_out:
        y += 14
        parts.append(_text(LEFT, y, f"{left_out} more blocks aren't drawn", size=9, color=FAINT))
    return y + 12, "\n".join(parts)


def _bar(x: float, y: float, width: float, height: float, color: str) -> str:
    return f"<rect x='{x:g}' y='{y:g}' width='{width:.1f}' height='{height:g}' fill='{color}'/>"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int,
    color: str = INK,
    weight: str = "normal",
    anchor: str = "start",
) -> str:
    return (
        f"<text x='{x:g}' y='{y:g}' font-size='{size}' fill='{color}' font-weight='{weight}' "
        f"text-anchor='{anchor}'>{_escaped(text)}</text>"
    )


def _escaped(text: str) -> str:
    """Text for XML, which allows no control characters."""
    return html.escape("".join(c for c in text if c.isprintable()))


def _tint(color: str) -> str:
    """The colour, mixed with four parts of white."""
    parts = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{255 - (255 - part) // 5:02x}" for part in parts)
