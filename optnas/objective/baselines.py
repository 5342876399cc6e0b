"""The networks that a study compares with: hand-made ones, and architectures of its space."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

from optuna.trial import FixedTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.search_spaces import Encodable, SearchSpace
from optnas.utils.inputs import Inputs
from optnas.utils.random_state import preserved
from optnas.utils.text import there_are

Builders = dict[str, Callable[[], nn.Module]]


def read_baselines(
    space: SearchSpace[Any], baselines: Mapping[str, Any]
) -> tuple[Builders, dict[str, dict[str, Any]]]:
    """Sorts baselines into functions that build one, and parameters of an architecture.

    Args:
        space: The search space.
        baselines: By name: a function that builds a network, an architecture of the space, or the
            parameters of a trial that draws it.

    Returns:
        The functions by name, and the parameters by name: empty ones where there is a function.

    Raises:
        InputError: A baseline is none of these, or the space doesn't have it.
    """
    if not isinstance(baselines, Mapping):
        raise InputError(f"baselines must be networks by name, got {baselines!r}")
    builders: Builders = {}
    params: dict[str, dict[str, Any]] = {}
    for name, given in baselines.items():
        if callable(given):
            builders[name], params[name] = given, {}
        else:
            params[name] = _params(space, name, given)
    return builders, params


def hand_made(builders: Builders, name: str, example: Inputs, seed: int) -> Candidate:
    """The candidate of a baseline that a function builds.

    Raises:
        InputError: There is no such baseline.
    """
    if name not in builders:
        raise InputError(f"unknown baseline {name!r}; {there_are(name, builders)}")
    return Candidate(f"baseline {name}", example, builders[name], seed)


def _params(space: SearchSpace[Any], name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        if is_dataclass(given) and isinstance(space, Encodable):
            try:
                return space.params_of(given)
            except InputError as error:
                raise InputError(
                    f"baseline {name!r} isn't in the search space: {error}; widen the space, or "
                    "give a function that builds the network"
                ) from error
        raise InputError(
            f"baseline {name!r} must be a function that builds a network, an architecture of a "
            "space that has `params_of` (optnas.search_spaces.Encodable), or the parameters of a "
            f"trial, got {given!r}"
        )
    trial = FixedTrial(dict(given))
    try:
        with warnings.catch_warnings(), preserved():
            warnings.simplefilter("error")  # Optuna only warns of a value out of its range
            space.suggest(trial)
    except (ValueError, KeyError, UserWarning) as error:
        raise InputError(f"baseline {name!r} isn't in the search space: {error}") from error
    unused = sorted(given.keys() - trial.params.keys())
    if unused:
        raise InputError(
            f"baseline {name!r} isn't in the search space: it draws no {', '.join(unused)} there"
        )
    return dict(trial.params)
