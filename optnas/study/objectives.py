"""The objectives of a study: names and directions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

from optuna.exceptions import ExperimentalWarning
from optuna.study import Study, StudyDirection


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


Direction = Literal["minimize", "maximize"]
