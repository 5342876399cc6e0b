"""What a person's training function returned, as scores by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real

import torch

from optnas.errors import InputError
from optnas.evaluators.epoch_report import Report
from optnas.utils.code_hash import callable_name


def returned_scores(
    function: Callable[..., object], returned: object, report: Report, names: Sequence[str]
) -> dict[str, float]:
    """The scores that a training function returned or, if it returned nothing, reported last.

    Args:
        function: The function.
        returned: A dictionary; or the score itself, if there is but one; or None.
        report: What the function was given.
        names: The names of its scores.

    Raises:
        InputError: The function returned something else, or neither returned nor reported scores.
    """
    if isinstance(returned, Mapping):
        return dict(returned)
    name, wanted = callable_name(function), ", ".join(names)
    if returned is None:
        if not report.curve:
            raise InputError(
                f"{name} returned nothing and reported nothing: return a dictionary of scores "
                f"({wanted}), or call report(epoch, scores), whose last scores count then"
            )
        return {key: value for key, value in report.curve[-1].items() if key != "step"}
    if len(names) == 1 and _is_number(returned):
        return {names[0]: returned}  # type: ignore[dict-item]
    raise InputError(f"{name} must return a dictionary of scores ({wanted}), got {returned!r}")


def _is_number(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1
    return isinstance(value, Real) and not isinstance(value, bool)
