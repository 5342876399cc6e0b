"""The widths of a given network are searched."""

from optnas.search_spaces.slim.space import SlimArchitecture, SlimSpace

__all__ = ["SlimArchitecture", "SlimSpace"]
