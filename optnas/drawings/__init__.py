"""Drawings of networks: `drawing` reads the data of a network, `drawing_svg` makes an SVG of it."""

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
