"""Writes a trial's network with trained weights to a file, with a model card."""

from optnas.export.model import Exported, export_model

__all__ = ["Exported", "export_model"]
