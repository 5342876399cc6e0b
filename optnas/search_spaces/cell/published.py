"""Published networks of cells."""

from __future__ import annotations

from optnas.search_spaces.cell.architecture import Cell, CellArchitecture


def darts_v2(width: int, cells: int) -> CellArchitecture:
    """See `CellSpace.darts_v2`."""
    normal = (
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1),
        ("skip_connect", 0),
        ("skip_connect", 0),
        ("dil_conv_3x3", 2),
    )
    reduction = (
        ("max_pool_3x3", 0),
        ("max_pool_3x3", 1),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
        ("max_pool_3x3", 0),
        ("skip_connect", 2),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
    )
    return CellArchitecture(
        width, (cells,) * 3, Cell.from_genotype(normal), Cell.from_genotype(reduction)
    )
