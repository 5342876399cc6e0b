"""The data of the parallel coordinates (Inselberg, 1985): from decisions to objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.pareto.dominance import losses
from optnas.pareto.snapshot import Snapshot
from optnas.plots.axes import Axis, chosen_decisions, decision_axis, objective_axis, shown
from optnas.plots.scales import has_place
from optnas.plots.style import spread
from optnas.study.attributes import DUPLICATE_OF, is_hand_made
from optnas.utils.text import number

DECISIONS, OBJECTIVES, COLUMNS = 10, 7, 14
"""The largest number of columns, of each kind and in all."""
LINES, FAINT_LINES = 60, 150
"""The largest number of coloured lines, and of grey ones: more hide each other."""
FEW = 20
"""With a single objective the best 20 lines have a colour, or the best tenth."""


class Line(NamedTuple):
    """A trial: its number, where it crosses each axis, and the values there.

    The position is None where the trial has no such decision. `best` tells whether the trial is on
    the front (or among the best of a single objective).
    """

    number: int
    best: bool
    first: float
    positions: tuple[float | None, ...]
    values: tuple[str, ...]


class ParallelData(NamedTuple):
    """The data of the parallel coordinates.

    Attributes:
        study_name: Of the study.
        axes: The decisions, then the objectives.
        lines: Those that are drawn, the best in the first objective first.
        best: The number of trials on the front, or among the best.
        others: The number of other trials.
        first: Name of the first objective.
        objectives: The number of objectives.
        decisions: The number of decisions.
        chosen_by: Why these decisions are shown, if not all are.
        endless: Whether an objective has values that have no place on its axis.
    """

    study_name: str
    axes: list[Axis]
    lines: list[Line]
    best: int
    others: int
    first: str
    objectives: int
    decisions: int
    chosen_by: str
    endless: bool


def parallel_data(study: Study | Snapshot) -> ParallelData:
    """The feasible trials of a study, with the decisions that made them.

    It has trials, not architectures, because one may have been trained by different recipes.

    Raises:
        InputError: There is no feasible COMPLETE trial with parameters.
    """
    seen = Snapshot.of(study)
    trials = [
        t
        for t in seen.feasible
        if t.params and not is_hand_made(t) and DUPLICATE_OF not in t.user_attrs
    ]
    if not trials:
        raise InputError(
            f"study {seen.study.study_name!r} has no COMPLETE trial with parameters within its "
            "bounds: run it first, or loosen them"
        )
    objectives = seen.names
    room = min(DECISIONS, COLUMNS - min(len(objectives), OBJECTIVES))
    names, every, chosen_by = chosen_decisions(seen, trials, room)
    columns = [decision_axis(name, trials) for name in names]
    columns += [
        objective_axis(i, name, seen.maximized[i], trials)
        for i, name in enumerate(objectives[:OBJECTIVES])
    ]
    best, others = _best(seen, trials)
    return ParallelData(
        study_name=seen.study.study_name,
        axes=[axis for axis, _ in columns],
        lines=[
            Line(
                number=trial.number,
                best=highlighted,
                first=trial.values[0],
                positions=tuple(scale(trial) for _, scale in columns),
                values=(
                    *(shown(trial.params.get(name, "absent")) for name in names),
                    *map(number, trial.values[:OBJECTIVES]),
                ),
            )
            for group, highlighted, most in ((best, True, LINES), (others, False, FAINT_LINES))
            for trial in spread(group, most)
        ],
        best=len(best),
        others=len(others),
        first=objectives[0],
        objectives=len(objectives),
        decisions=every,
        chosen_by=chosen_by,
        endless=not all(has_place(v) for t in trials for v in t.values[:OBJECTIVES]),
    )


def _best(
    study: Snapshot, trials: Sequence[FrozenTrial]
) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """The front, or the best tenth in a single objective; and the others; the best first."""
    points = losses([trial.values for trial in trials], study.directions)
    order = [trials[i] for i in points[:, 0].argsort(kind="stable")]
    if len(study.names) > 1:
        members = {t.number for t in study.front}
        return (
            [t for t in order if t.number in members],
            [t for t in order if t.number not in members],
        )
    count = max(min(FEW, len(order) // 2), len(order) // 10, 1)
    return order[:count], order[count:]
