"""The Pareto front of a study.

These functions work on any Optuna study, also on one that optnas hasn't made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import losses, nondominated
from optnas.study.attributes import DUPLICATE_OF
from optnas.study.describe import architecture_name, recipe_column
from optnas.study.objectives import objective_names
from optnas.utils.html import escaped, table
from optnas.utils.text import definitions, number


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether no constraint of the trial is broken."""
    return all(value <= 0 for value in trial.constraints.values())


def complete_trials(study: Study) -> list[FrozenTrial]:
    """The COMPLETE trials, by number."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def feasible_trials(
    study: Study, complete: Sequence[FrozenTrial] | None = None
) -> list[FrozenTrial]:
    """The COMPLETE trials without a broken constraint, by number.

    Args:
        study: The study.
        complete: Its COMPLETE trials, if the caller has read them already.
    """
    complete = complete_trials(study) if complete is None else complete
    return [trial for trial in complete if is_feasible(trial)]


class Front(list[FrozenTrial]):
    """The trials on a front: a list, which a notebook shows as a table.

    Args:
        trials: The trials, by number.
        study: Their study.
    """

    def __init__(self, trials: Iterable[FrozenTrial], study: Study) -> None:
        super().__init__(trials)
        self._study = study

    def __reduce__(self) -> tuple[type[list[FrozenTrial]], tuple[list[FrozenTrial]]]:
        return list, ([*self],)  # a copy is a plain list: storages can't be copied

    def _repr_html_(self) -> str:
        """A row for each network, the best in the first objective first."""
        if not self:
            return f"<div>{escaped(why_no_front(self._study))}</div>"
        names = objective_names(self._study)
        head = ["trial", *names, "architecture", "recipe"]
        sign = -1 if self._study.directions[0] == StudyDirection.MAXIMIZE else 1
        best_first = sorted(self, key=lambda t: sign * t.values[0])
        recipes, recipe = recipe_column(best_first)
        rows = [
            [str(t.number), *map(number, t.values), architecture_name(t), text]
            for t, text in zip(best_first, recipes, strict=True)
        ]
        if not any(row[-1] for row in rows):
            head, rows = head[:-1], [row[:-1] for row in rows]
        shown = {name for name in names if any(name in t.user_attrs for t in self)}
        return table(
            head,
            rows,
            title=f"Pareto front of {self._study.study_name}",
            notes=[*filter(None, [recipe, definitions(shown)])],
            left=range(len(names) + 1, len(head)),
        )


def front(study: Study, complete: Sequence[FrozenTrial] | None = None) -> Front:
    """The feasible COMPLETE trials that no other one dominates, by number.

    A trial that reused the values of another one (same architecture, same recipe) is left out,
    because the other one represents it.

    Args:
        study: The study.
        complete: Its COMPLETE trials, if the caller has read them already.
    """
    trials = [t for t in feasible_trials(study, complete) if DUPLICATE_OF not in t.user_attrs]
    return Front(front_of(trials, study.directions), study)


def front_of(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[FrozenTrial]:
    """The trials that no other one among them dominates."""
    mask = nondominated(losses([t.values for t in trials], directions))
    return [trial for trial, kept in zip(trials, mask, strict=True) if kept]


def why_no_front(study: Study) -> str:
    """The message for a study whose front is empty."""
    n = len(complete_trials(study))
    if not n:
        return f"study {study.study_name!r} has no COMPLETE trial yet: run it first"
    return (
        f"study {study.study_name!r} has no front: each of its COMPLETE trials ({n}) breaks a "
        "bound; relax it, or search further"
    )
