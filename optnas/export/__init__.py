"""A trial's network with trained weights, as a file to take home, and its model card."""

from optnas.export.model import Exported, export_model

__all__ = ["Exported", "export_model"]
