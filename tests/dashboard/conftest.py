"""A study of six trials, and what publishes it."""

import dataclasses
from pathlib import Path

import pytest
from torch import nn

from optnas.dashboard import publisher as publishing
from optnas.dashboard.publisher import Publisher
from optnas.storage.open import close_storage


@pytest.fixture
def search(search):
    return dataclasses.replace(
        search,
        storage="sqlite:///tiny.db",
        objectives=("loss", "params", "flops", "macs"),
        baselines={"small": lambda: nn.Linear(2, 1)},
        trials=5,
    )


@pytest.fixture
def publisher(search, monkeypatch):
    """The publisher of a study of six trials, without ONNX files, which take a second each."""
    monkeypatch.setattr(publishing, "has_onnx", lambda: False)
    study = search.run(progress=False)
    yield Publisher(study, Path("tiny_weights"), search)
    close_storage(study._storage)


@pytest.fixture
def study(publisher):
    return publisher._study
