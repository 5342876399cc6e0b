"""Texts and other sequences of tokens, for networks that predict the next token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from optnas.datasets.dataset import Dataset, Part
from optnas.datasets.split import check_size
from optnas.errors import InputError
from optnas.utils.checks import check_counts

LARGEST = 2**31 - 1
"""No vocabulary is larger."""

LONGEST_PATH = 256
"""A text from this length on is none."""


def text(
    text: str,
    *,
    length: int = 64,
    val: float | int = 0.1,
    test: float | int = 0.1,
    name: str = "text",
) -> Dataset:
    """A text, whose characters are the tokens.

    The different characters of the whole text are numbered from 0 in the order of their code
    points; `vocabulary` of the dataset has them in that order. See `tokens` for the parts.

    Args:
        text: The text.
        length: The number of characters that a network sees at once.
        val: Share or number of the characters in the validation part.
        test: Share or number of the characters in the test part.
        name: What the data is called, in reports and errors.

    Raises:
        InputError: A part is shorter than a sequence.

    Example:
        ```python
        import optnas

        data = optnas.text("to be or not to be " * 100, length=32)
        evaluator = optnas.TrainingEvaluator(data, epochs=2)
        evaluator.provides  # {"val_loss": "minimize", "perplexity": "minimize"}
        ```
    """
    if not isinstance(text, str):
        raise InputError(f"{name}: give a text (path.read_text()), got {type(text).__name__}")
    if len(text) < LONGEST_PATH and "\n" not in text and Path(text).is_file():
        raise InputError(
            f"{name}: {text!r} is the name of a file, and its text is wanted: give "
            f"Path({text!r}).read_text()"
        )
    points, ids = np.unique(
        np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32),
        return_inverse=True,
    )
    vocabulary = tuple(map(chr, points.tolist()))
    return _dataset(ids, length, len(vocabulary), val, test, name, vocabulary)


def tokens(
    ids: ArrayLike,
    *,
    length: int,
    vocabulary: int | None = None,
    val: float | int = 0.1,
    test: float | int = 0.1,
    name: str = "tokens",
) -> Dataset:
    """One long sequence of tokens, such as a tokenizer makes of texts.

    The first tokens are the training part, the next the validation part, the last the test part.
    Each part is cut into sequences of `length` tokens that follow one another; the targets are the
    same, one token later. So parts don't overlap, and each token of a part is a target once, but
    for the first one and a remainder shorter than a sequence. The loss of the task `language` is
    the cross-entropy of the next token, in nats a token; `perplexity` is its exponential.

    Args:
        ids: Whole numbers from 0, shape `(n,)`.
        length: The number of tokens that a network sees at once.
        vocabulary: The number of different tokens; left out, the largest one plus one.
        val: Share or number of the tokens in the validation part.
        test: Share or number of the tokens in the test part.
        name: What the data is called, in reports and errors.

    Returns:
        Inputs and targets of shape `(sequences, length)`, in int64; `outputs` is the vocabulary.

    Raises:
        InputError: The tokens are no whole numbers from 0 to below `vocabulary`, or a part is
            shorter than a sequence.

    Example:
        ```python
        import numpy as np

        import optnas

        data = optnas.tokens(np.arange(2000) % 17, length=16, vocabulary=20)
        ```
    """
    array = np.asarray(ids)
    if array.ndim != 1 or not len(array) or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"{name}: tokens must be whole numbers of shape (n,), got {array.dtype} of shape "
            f"{array.shape}: join several texts into one sequence, with a token between them"
        )
    least, most = int(array.min()), int(array.max())
    size = min(most, LARGEST) + 1 if vocabulary is None else vocabulary
    check_counts(vocabulary=size)
    if least < 0 or most >= size:
        raise InputError(
            f"{name}: tokens must be from 0 to {size - 1}, got {least} to {most}: give the "
            "tokenizer's whole vocabulary"
        )
    return _dataset(array, length, size, val, test, name)


def _dataset(
    ids: np.ndarray[tuple[int, ...], np.dtype[np.integer]],
    length: int,
    size: int,
    val: float | int,
    test: float | int,
    name: str,
    vocabulary: tuple[str, ...] = (),
) -> Dataset:
    check_counts(length=length)
    for part, share in (("val", val), ("test", test)):
        check_size(share, part, name)
    n = len(ids)
    sizes = {"val": _number(val, n), "test": _number(test, n)}
    sizes = {"train": n - sum(sizes.values()), **sizes}
    parts: dict[str, Part] = {}
    start = 0
    for part, number in sizes.items():
        if number <= length:
            raise InputError(
                f"{name}: the {part} part would have {max(number, 0)} of {n} tokens, and a "
                f"sequence with its targets takes {length + 1}: give a shorter length, or other "
                "shares (val=, test=)"
            )
        # A copy: the caller may use the array for something else.
        own = torch.from_numpy(np.array(ids[start : start + number], dtype=np.int64))
        parts[part] = _sequences(own, length)
        start += number
    return Dataset(
        name,
        "language",
        parts["train"],
        parts["val"],
        parts["test"],
        size,
        vocabulary=vocabulary,
    )


def _number(share: float | int, n: int) -> int:
    return int(share) if isinstance(share, (int, np.integer)) else round(share * n)


def _sequences(ids: torch.Tensor, length: int) -> Part:
    """Views of the tokens: inputs, and the same one token later."""
    both = ids.unfold(0, length + 1, length)
    return both[:, :-1], both[:, 1:]
