"""The files and folders of a study, next to its database."""

from __future__ import annotations

from pathlib import Path

from optnas.storage.urls import storage_path


def weights_folder(url: str, study_name: str) -> Path:
    """The folder of the trained weights of a study's front."""
    return next_to_database(url, f"{study_name}_weights")


def shared_folder(url: str, study_name: str) -> Path:
    """The folder of the weights that all networks of a study share."""
    return next_to_database(url, f"{study_name}_shared")


def retrained_folder(url: str, study_name: str) -> Path:
    """The folder of a study's retrained networks."""
    return next_to_database(url, f"{study_name}_retrained")


def next_to_database(url: str, name: str) -> Path:
    """A path next to the storage's file; in the working directory for a server."""
    file = storage_path(url) if url else None
    return (file.parent if file else Path()) / name
