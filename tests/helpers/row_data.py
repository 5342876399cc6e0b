"""A dataset whose examples a function makes."""

from torch.utils.data import Dataset

N = 24
"""The number of its examples."""


class Rows(Dataset):
    """Examples that `row` makes of their indices."""

    def __init__(self, row):
        self.row = row

    def __len__(self):
        return N

    def __getitem__(self, index):
        return self.row(index)
