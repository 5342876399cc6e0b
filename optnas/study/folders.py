"""The files and folders of a study, beside its database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optnas.storage.urls import storage_path

if TYPE_CHECKING:
    pass


def weights_folder(url: str, study_name: str) -> Path:
    """Where the trained weights of a study's front lie: beside its database."""
    return beside(url, f"{study_name}_weights")


def shared_folder(url: str, study_name: str) -> Path:
    """Where the weights lie that all networks of a study share: beside its database."""
    return beside(url, f"{study_name}_shared")


def retrained_folder(url: str, study_name: str) -> Path:
    """Where the networks lie that were trained for good: beside the study's database."""
    return beside(url, f"{study_name}_retrained")


def beside(url: str, name: str) -> Path:
    """A path beside the storage's file; in the working directory for a server."""
    file = storage_path(url) if url else None
    return (file.parent if file else Path()) / name
