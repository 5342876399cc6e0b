"""Networks of cells: what a cell computes, and how many there are."""

from optnas.search_spaces.cell.architecture import Cell, CellArchitecture
from optnas.search_spaces.cell.operations import DARTS_OPERATIONS, OPERATIONS
from optnas.search_spaces.cell.space import CellSpace

__all__ = ["DARTS_OPERATIONS", "OPERATIONS", "Cell", "CellArchitecture", "CellSpace"]
