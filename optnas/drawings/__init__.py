"""Drawings of networks: first the data, a NamedTuple that can be compared, then an SVG."""

from optnas.drawings.blocks import ArchitectureDrawing, Block, Stage, drawing
from optnas.drawings.members import drawings_of
from optnas.drawings.svg import Largest, drawing_svg

__all__ = [
    "ArchitectureDrawing",
    "Block",
    "Largest",
    "Stage",
    "drawing",
    "drawing_svg",
    "drawings_of",
]
