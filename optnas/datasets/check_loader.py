"""Checks that what stands for a loader yields a known number of batches."""

from __future__ import annotations

from typing import Any

from torch.utils.data import DataLoader, Dataset as TorchDataset, IterableDataset

from optnas.errors import InputError


def check_loader(part: str, loader: DataLoader[Any]) -> None:
    """Checks one of the loaders.

    Args:
        part: What it is called.
        loader: What was given.

    Raises:
        InputError: It is a dataset of single examples.
        ValueError: It has no length, or no batches.
    """
    given: object = loader
    # An iterable one may make its batches itself.
    if isinstance(given, TorchDataset) and not isinstance(given, IterableDataset):
        raise InputError(
            f"{part} is a dataset ({type(given).__name__}), not a loader, and yields single "
            f"examples: give DataLoader({part}, batch_size=…), or batch_size=None if its items "
            "are whole batches"
        )
    try:
        batches = len(loader)
    except TypeError as error:
        raise ValueError(
            f"{part} has no length, and the schedule needs the number of its batches ({error}): "
            "give the dataset, or the loader, a __len__"
        ) from error
    if not batches:
        raise ValueError(
            f"{part} has no batches: give it examples, as many as a batch if it drops the last one"
        )
