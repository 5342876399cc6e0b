"""Data for a search: training, validation and test parts as tensors, or your own loaders."""

from optnas.datasets.arrays import arrays as arrays
from optnas.datasets.bundled import diabetes as diabetes, digits as digits
from optnas.datasets.cifar import cifar as cifar
from optnas.datasets.dataset import Dataset as Dataset, Loaders as Loaders
from optnas.datasets.frame import frame as frame
from optnas.datasets.idx import idx_images as idx_images
from optnas.datasets.image_folder import image_folder as image_folder
from optnas.datasets.language import text as text, tokens as tokens

__all__ = [
    "Dataset",
    "Loaders",
    "arrays",
    "cifar",
    "diabetes",
    "digits",
    "frame",
    "idx_images",
    "image_folder",
    "text",
    "tokens",
]


def __dir__() -> list[str]:
    return __all__
