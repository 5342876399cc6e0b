"""The widths of a given network are searched."""

from optnas.search_spaces.slim.architecture import SlimArchitecture
from optnas.search_spaces.slim.space import SlimSpace

__all__ = ["SlimArchitecture", "SlimSpace"]
