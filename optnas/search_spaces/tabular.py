"""Networks for tables: residual and plain perceptrons with embeddings of categories.

Source: Gorishniy et al., Revisiting deep learning models for tabular data, NeurIPS 2021
(arXiv 2106.11959). A residual block is theirs: x + Linear(Dropout(ReLU(Linear(Norm(x))))). What
differs: normalisation and activation are choices, and there is no dropout after a block. A plain
block is Linear(Dropout(ReLU(Norm(x)))), so that the stem is the first layer of a perceptron.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from optuna.trial import BaseTrial
from torch import nn

from optnas.datasets.dataset import Dataset
from optnas.errors import InputError
from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace, random_example
from optnas.search_spaces.checks import (
    check_activations,
    check_booleans,
    check_dropout,
    check_names,
    check_range,
    check_shape,
    check_sizes,
)
from optnas.search_spaces.data_size import deepest_for, widest_for
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.staged import choose, choose_depth, choose_dropout
from optnas.search_spaces.tabular_layers import NORMS, TabularNetwork
from optnas.utils.checks import check_counts
from optnas.utils.inputs import Inputs


@dataclass(frozen=True)
class TabularArchitecture:
    """A network for tables.

    Attributes:
        width: The width of the stem and of each block's output.
        embedding_size: The size of each category's vector; 0 without categories.
        depth: The number of blocks after the stem.
        hidden: The inner width of residual blocks; 0 for plain blocks.
        norm: `none`, `batch` or `layer`.
        activation: The name of the activation.
        dropout: The dropout probability in each block; 0 without blocks.
    """

    width: int
    embedding_size: int
    depth: int
    hidden: int
    norm: str
    activation: str
    dropout: float

    def __str__(self) -> str:
        embedding = f"embedding{self.embedding_size} " if self.embedding_size else ""
        stem = f"{embedding}stem{self.width}"
        kind = f"residual hidden{self.hidden}" if self.hidden else "plain"
        blocks = f"{self.depth}×{kind} dropout={self.dropout:g}" if self.depth else "-"
        return f"{stem} | {blocks} | {self.norm} {self.activation}"


@dataclass(frozen=True)
class TabularSpace(SearchSpace[TabularArchitecture], Encodable[TabularArchitecture]):
    """Perceptrons and residual networks for tables of numbers and categories.

    Each category has a table of vectors, all of one size. Numbers and vectors together go through a
    linear stem, then blocks, then normalisation, activation and a linear head. Code 0 of a category
    is a value that was never seen: its vector begins at zero and stays there unless it is trained;
    codes that are out of range are taken as 0.

    `for_data` makes a space from data of `optnas.frame` or `optnas.arrays`, with ranges that follow
    the number of its rows.

    Parameters: `depth`, `width`, `embedding_size` (with categories), `norm`, `activation`, and
    where there are blocks `residual`, `dropout`, and for residual ones `hidden_multiplier`. A
    setting with one value is no parameter.

    Example:
        ```python
        import optnas

        space = optnas.TabularSpace(numbers=6, categories=(3, 12), outputs=2)
        print(list(space.example_inputs))  # ['numbers', 'categories']
        plain = optnas.TabularSpace.for_data(optnas.diabetes())  # numbers alone: one tensor
        ```

    Attributes:
        numbers: The number of numerical columns; may be 0.
        categories: The number of codes of each category, the one for unseen values included.
        outputs: The number of classes, or of regression targets.
        depth: The least and greatest number of blocks.
        widths: The choices for the width.
        embedding_sizes: The choices for the size of the categories' vectors.
        residuals: The choices for whether blocks are residual.
        hidden_multipliers: The choices for the inner width of residual blocks, as a multiple of the
            width.
        norms: The choices for the normalisation: `none`, `batch` or `layer`.
        activations: Names among `relu`, `relu6`, `leaky_relu`, `tanh`, `gelu`, `silu` and
            `hard_swish`; all layers share one.
        dropout: The least and greatest dropout probability.
        dropout_step: The step between two dropout probabilities.

    Raises:
        ValueError: A setting is out of range, or there are neither numbers nor categories.
    """

    numbers: int
    categories: tuple[int, ...]
    outputs: int
    depth: tuple[int, int] = (0, 4)
    widths: tuple[int, ...] = (16, 32, 64, 128)
    embedding_sizes: tuple[int, ...] = (4, 8)
    residuals: tuple[bool, ...] = (False, True)
    hidden_multipliers: tuple[int, ...] = (1, 2)
    norms: tuple[str, ...] = ("none", "batch", "layer")
    activations: tuple[str, ...] = ("relu", "gelu")
    dropout: tuple[float, float] = (0.0, 0.5)
    dropout_step: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.numbers, Integral) or self.numbers < 0:
            raise ValueError(f"numbers must be a whole number of at least 0, got {self.numbers!r}")
        if not (self.numbers or self.categories):
            raise ValueError(
                f"there must be numbers or categories, got numbers={self.numbers} and "
                f"categories={self.categories}"
            )
        if self.categories:
            check_shape("categories", self.categories, 2)
            check_sizes("embedding_sizes", self.embedding_sizes)
        check_counts(outputs=self.outputs)
        check_range("depth", self.depth, 0)
        check_sizes("widths", self.widths)
        check_sizes("hidden_multipliers", self.hidden_multipliers)
        check_names("norms", self.norms, list(NORMS))
        check_activations(self.activations)
        check_dropout(self.dropout, self.dropout_step)
        check_booleans("residuals", self.residuals)

    @classmethod
    def for_data(cls, data: Dataset, **settings: Any) -> TabularSpace:
        """The space for a table, with ranges that follow the number of training rows n.

        The greatest width is the power of two next to 2·√n, from 16 to 512; the greatest depth is 2
        below 1,000 rows, 4 below 10,000, else 6; so 400 rows have networks of at most some ten
        thousand weights. Vectors of categories have about 1.6·c^0.56 numbers for the category with
        the most codes c (a rule of thumb of fastai's), or half of them.

        Args:
            data: Made by `optnas.frame`, or by `optnas.arrays` of shape `(n, features)`.
            settings: Any attribute of the class, in place of what follows from the data.

        Raises:
            InputError: The data is no table.
        """
        if not isinstance(data, Dataset):
            raise InputError(
                "TabularSpace.for_data takes the data that optnas.frame(df, target) or "
                f"optnas.arrays(x, y) makes, got a {type(data).__name__}"
            )
        inputs = data.example_inputs
        by_name = {"numbers": inputs} if isinstance(inputs, torch.Tensor) else dict(inputs)  # type: ignore[arg-type]
        if not set(by_name) <= {"numbers", "categories"} or any(
            tensor.ndim != 2 for tensor in by_name.values()
        ):
            raise InputError(
                f"{data!r} is no table of numbers and categories: optnas.frame makes one of a "
                "DataFrame, optnas.arrays of an array of shape (n, features)"
            )
        numbers = by_name["numbers"].shape[1] if "numbers" in by_name else 0
        rows = len(data.train[1])
        widest = widest_for(rows)
        sizes = data.category_sizes
        size = min(64, max(2, round(1.6 * max(sizes, default=2) ** 0.56)))
        found: dict[str, Any] = {
            "depth": (0, deepest_for(rows)),
            "widths": tuple(width for width in (8, 16, 32, 64, 128, 256, 512) if width <= widest),
            "embedding_sizes": (max(1, size // 2), size),
        }
        return cls(numbers, sizes, data.outputs, **(found | settings))

    @property
    def example_inputs(self) -> Inputs:
        """Numbers `(1, numbers)`; with categories a dictionary with codes `(1, categories)` too."""
        if not self.categories:
            return random_example(self.numbers)
        codes = torch.tensor([[size - 1 for size in self.categories]])
        numbers = {"numbers": random_example(self.numbers)} if self.numbers else {}
        return {**numbers, "categories": codes}

    def suggest(self, trial: BaseTrial) -> TabularArchitecture:
        """Draws depth and width, then what the blocks have."""
        depth = choose_depth(trial, "depth", *self.depth)
        width = choose(trial, "width", self.widths)
        size = choose(trial, "embedding_size", self.embedding_sizes) if self.categories else 0
        norm = choose(trial, "norm", self.norms)
        activation = choose(trial, "activation", self.activations)
        hidden, dropout = 0, 0.0
        if depth:
            if choose(trial, "residual", self.residuals):
                hidden = width * choose(trial, "hidden_multiplier", self.hidden_multipliers)
            dropout = choose_dropout(trial, "dropout", self.dropout, self.dropout_step)
        return TabularArchitecture(width, size, depth, hidden, norm, activation, dropout)

    def build(self, architecture: TabularArchitecture) -> nn.Module:
        """Makes the network.

        Its layers are called `embedding`, `stem`, `block1.norm`, `block1.hidden` and
        `block1.output` (residual) or `block1.linear` (plain), …, `norm`, `activation` and `head`.
        """
        return TabularNetwork(
            self.numbers,
            self.categories,
            self.outputs,
            architecture.width,
            architecture.embedding_size,
            depth=architecture.depth,
            hidden=architecture.hidden,
            norm=architecture.norm,
            activation=architecture.activation,
            dropout=architecture.dropout,
        )

    def params_of(self, architecture: TabularArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        return encode(self.suggest, architecture, _settings)


def _settings(architecture: TabularArchitecture) -> dict[str, Any]:
    """The settings by parameter name."""
    width, hidden = architecture.width, architecture.hidden
    settings: dict[str, Any] = {
        "depth": architecture.depth,
        "width": width,
        "embedding_size": architecture.embedding_size,
        "norm": architecture.norm,
        "activation": architecture.activation,
    }
    if architecture.depth:
        settings |= {"residual": hidden > 0, "dropout": architecture.dropout}
    if hidden:
        settings["hidden_multiplier"] = hidden / width
    return settings
