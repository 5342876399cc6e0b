"""Seeds of a block."""

import logging
import os
import random
import tempfile
from contextlib import suppress

import numpy as np
import pytest
import torch

from optnas.utils import random_state
from optnas.utils.preserved_once import preserved_once
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


def test_a_block_that_preserves_once_restores_the_generators_at_its_end():
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    with preserved_once():
        drawn = []
        for _ in range(2):
            with seeded(5):
                drawn.append((torch.rand(1).item(), np.random.rand(), random.random()))
                with seeded(7):
                    torch.rand(1)
                drawn[-1] += (torch.rand(1).item(), np.random.rand())
    with seeded(5):
        alone = torch.rand(1).item(), np.random.rand(), random.random()
        alone += torch.rand(1).item(), np.random.rand()
    assert drawn == [alone, alone]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


def test_a_block_that_preserves_once_reads_numpys_generator_once(monkeypatch):
    """Reading it takes as long as building a small network."""
    reads = []
    read = np.random.get_state
    monkeypatch.setattr(np.random, "get_state", lambda: reads.append(1) or read())
    with preserved_once():
        for _ in range(5):
            with preserved():
                np.random.rand()
    assert len(reads) == 1


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
