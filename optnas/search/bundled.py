"""The studies that come with optnas. Importing this file imports no torch, which takes seconds."""

from __future__ import annotations

from pathlib import Path


def bundled_folder() -> Path:
    """The folder of these studies: in the wheel, or next to the package in a checkout."""
    package = Path(__file__).parents[1]
    return next(p for p in (package / "studies", package.parent / "studies") if p.is_dir())
