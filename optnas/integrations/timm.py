"""Search spaces of timm's models. Their training loops are your own, and call `report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import timm
import torch

from optnas.errors import InputError
from optnas.search_spaces import ModelSpace
from optnas.utils.text import there_are


def model_space(
    names: Sequence[str],
    input_size: tuple[int, int, int],
    choices: Mapping[str, Any] | None = None,
    **fixed: Any,
) -> ModelSpace:
    """A search space of timm's models, and of arguments that all of them take.

    Example:
        ```python
        model_space(["resnet10t", "mobilenetv3_small_050"], (3, 64, 64), num_classes=10)
        ```

    Args:
        names: Names of models, as `timm.list_models()` has them.
        input_size: Channels, height and width of an image.
        choices: Choices for further arguments, such as `{"drop_rate": [0.0, 0.2]}`.
        fixed: Arguments of `timm.create_model` that stay the same, such as `num_classes=10`.

    Raises:
        InputError: There is no model of a name.
    """
    known = timm.list_models()
    for name in names:
        if name.split(".")[0] not in known:
            raise InputError(f"timm has no model {name!r}; {there_are(name, known)}")
    fixed = {"in_chans": input_size[0], **fixed}
    return ModelSpace(
        partial(timm.create_model, **fixed),
        {"model_name": list(names), **(choices or {})},
        torch.zeros(1, *input_size),
    )
