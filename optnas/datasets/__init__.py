"""Data for a search: arrays in, tensors out, split once and for all."""

from optnas.datasets.arrays import arrays as arrays, diabetes as diabetes, digits as digits
from optnas.datasets.dataset import Dataset as Dataset, Loaders as Loaders
from optnas.datasets.idx import idx_images as idx_images

__all__ = ["Dataset", "Loaders", "arrays", "diabetes", "digits", "idx_images"]
