"""Trackers that a study is written to while it runs; each imports its package when it is used."""

from optnas.callbacks.mlflow import MLflow
from optnas.callbacks.tensorboard import TensorBoard
from optnas.callbacks.tracker import Tracker
from optnas.callbacks.wandb import WandB

__all__ = ["MLflow", "TensorBoard", "Tracker", "WandB"]


def __dir__() -> list[str]:
    return __all__
