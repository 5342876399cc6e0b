"""What is no loader is refused where `Loaders` gets it."""

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import optnas
from optnas.errors import InputError

ROWS = TensorDataset(torch.zeros(6, 4), torch.zeros(6).long())
LOADER = DataLoader(ROWS, 3)


class Batches(IterableDataset):
    """Makes whole batches itself."""

    def __len__(self):
        return 2

    def __iter__(self):
        return iter([(torch.zeros(3, 4), torch.zeros(3).long())] * 2)


@pytest.mark.parametrize("part", ["train", "val", "train_val", "test"])
def test_a_dataset_in_place_of_a_loader_gets_the_line_that_makes_one(part):
    given = {"train": LOADER, "val": LOADER, part: ROWS}
    message = rf"^{part} is a dataset \(TensorDataset\), .* give DataLoader\({part}, batch_size=…"
    with pytest.raises(InputError, match=message):
        optnas.Loaders(**given, task="classification", name="rows")


@pytest.mark.parametrize("loader", [LOADER, Batches(), list(LOADER)])
def test_what_yields_batches_is_a_loader(loader):
    assert len(optnas.Loaders(loader, loader, "classification", "rows").train) == 2
