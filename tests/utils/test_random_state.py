"""Seeds of a block."""

import logging
import os
import tempfile
from contextlib import suppress

import pytest
import torch

from optnas.utils import random_state
from optnas.utils.random_state import preserved, seeded


@pytest.fixture
def said(caplog):
    """What is said, once for each seed."""
    random_state._say_own_seed.cache_clear()
    with caplog.at_level(logging.WARNING):
        yield lambda: [record.getMessage() for record in caplog.records]
    random_state._say_own_seed.cache_clear()


def test_a_seed_that_the_block_sets_itself_is_said_once(said):
    for trial in (5, 6):
        with seeded(trial):
            torch.manual_seed(42)
    (message,) = said()
    assert "sets torch's seed to 42" in message
    assert "torch.initial_seed()" in message


def test_the_blocks_own_seed_and_one_that_is_put_back_are_no_matter(said):
    with seeded(5):
        torch.manual_seed(torch.initial_seed())
        with torch.random.fork_rng(()):
            torch.manual_seed(42)
        with seeded(7):
            torch.rand(1)
    assert said() == []


@pytest.mark.parametrize("block", [preserved, lambda: seeded(1)], ids=["preserved", "seeded"])
def test_the_working_directory_is_put_back(tmp_path, block):
    """Training code may leave it, even for a folder that is deleted at its end."""
    before = os.getcwd()
    with block(), tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    assert os.getcwd() == before
    with suppress(RuntimeError), block():
        os.chdir(tmp_path.parent)
        raise RuntimeError
    assert os.getcwd() == before


def test_a_working_directory_that_was_deleted_is_no_matter(tmp_path):
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    with preserved():
        os.chdir(before)
    assert os.getcwd() == before
