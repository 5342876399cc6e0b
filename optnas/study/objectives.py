"""The objectives of a study: names and directions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from optuna.exceptions import ExperimentalWarning
from optuna.study import Study, StudyDirection

Direction = Literal["minimize", "maximize"]


def objective_names(study: Study) -> list[str]:
    """The names of the objectives: the study's metric names, or `objective 0` and so on."""
    return study.metric_names or [f"objective {i}" for i in range(len(study.directions))]


def maximized(study: Study) -> list[bool]:
    """Whether each objective is maximised."""
    return [direction == StudyDirection.MAXIMIZE for direction in study.directions]


def name_objectives(study: Study, names: Sequence[str]) -> None:
    """Writes the objectives' names into the study, for tables and for the dashboard's menus."""
    if study.metric_names != list(names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(names))


def check_directions(what: str, directions: Mapping[str, Direction]) -> dict[str, Direction]:
    """The directions as a dictionary.

    Raises:
        ValueError: There are none, or one is unknown.
    """
    if not directions:
        raise ValueError(f"{what} is empty: name at least one score with its direction")
    for name, direction in directions.items():
        if direction not in get_args(Direction):
            raise ValueError(
                f"{what}: the direction of {name!r} must be minimize or maximize, got {direction!r}"
            )
    return dict(directions)
