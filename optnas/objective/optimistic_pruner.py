"""Early stopping for several objectives, in a study of plain Optuna.

Optuna's `Trial.report` and `Trial.should_prune` raise in studies with several objectives, so no
`optuna.pruners.BasePruner` is ever asked there. This one is called by the objective itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from optuna.trial import Trial

from optnas.errors import InputError
from optnas.objective.early_stopping import EarlyStopping
from optnas.study.attributes import CURVE
from optnas.study.objectives import Direction, check_directions
from optnas.utils.text import there_are


class OptimisticPruner:
    """Prunes a trial that another one dominates, even if it still improves most.

    The objective calls it after each step of a training. Each score may improve, from its best
    value so far, as much as that of any finished trial did from the same step on; the costs are
    known before. If a feasible COMPLETE trial dominates even that point, the call raises
    `optuna.TrialPruned`. No trial is pruned before 8 finished trials went beyond the step, nor at
    its last step (see `EarlyStopping`, which does the same in a `Search`).

    The scores are kept in the trial's user attribute `curve`, from which later trials learn, in any
    process; `optnas report` draws them.

    Example:
        ```python
        import optuna

        import optnas

        pruner = optnas.OptimisticPruner({"loss": "minimize", "size": "minimize"}, scores=["loss"])


        def objective(trial):
            size = trial.suggest_int("size", 1, 9)
            for step in range(20):
                loss = 1 / size + 1 / (step + 1)
                pruner(trial, step, {"loss": loss}, costs={"size": size})
            return loss, size


        study = optuna.create_study(directions=["minimize", "minimize"])
        study.optimize(objective, n_trials=20)
        ```

    Args:
        objectives: The directions of all objectives by name, in the order in which the objective
            function returns them.
        scores: The names of those that are reported at each step. The others are costs, which are
            known before the first step.

    Raises:
        InputError: A direction or a name is unknown, or there are no scores.
    """

    def __init__(self, objectives: Mapping[str, Direction], scores: Collection[str]) -> None:
        self._objectives = check_directions("objectives", objectives)
        if isinstance(scores, str) or not scores:
            raise InputError(
                f"scores must be the names of the objectives that are reported, got {scores!r}"
            )
        for name in scores:
            if name not in self._objectives:
                raise InputError(
                    f"the score {name!r} is no objective; {there_are(name, self._objectives)}"
                )
        self._scores = tuple(scores)
        self._costs = [name for name in self._objectives if name not in self._scores]
        self._stopping = EarlyStopping(self._objectives, self._scores)

    def __call__(
        self,
        trial: Trial,
        step: int,
        scores: Mapping[str, float],
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Keeps the scores of a step, and prunes the trial if it can't reach the front.

        Args:
            trial: The running trial.
            step: The number of the step, above that of the step before.
            scores: All scores by name; others, which are no objectives, are kept, too.
            costs: All other objectives by name.

        Raises:
            optuna.TrialPruned: A trial, which the message names, dominates whatever may come.
            InputError: Something is missing, or the study has other objectives.
        """
        costs = costs or {}
        _check_study(trial, self._objectives)
        _check_names("scores", scores, self._scores)
        _check_names("costs", costs, self._costs)
        curve: list[dict[str, Any]] = list(trial.user_attrs.get(CURVE, ()))
        if curve and step <= curve[-1]["step"]:
            raise InputError(f"step must rise, got {step} after {curve[-1]['step']}")
        curve.append({"step": step} | {name: float(value) for name, value in scores.items()})
        trial.set_user_attr(CURVE, curve)
        self._stopping.check(trial, {name: float(costs[name]) for name in self._costs}, curve)


def _check_study(trial: Trial, objectives: Mapping[str, Direction]) -> None:
    found = [direction.name.lower() for direction in trial.study.directions]
    if found != list(objectives.values()):
        raise InputError(
            f"the study's directions are {', '.join(found)}, and the pruner was made for "
            f"{', '.join(f'{name} ({d})' for name, d in objectives.items())}: give it the study's "
            "objectives, in their order"
        )


def _check_names(what: str, given: Mapping[str, float], wanted: Collection[str]) -> None:
    missing = [name for name in wanted if name not in given]
    if missing:
        raise InputError(f"{what} lack {', '.join(missing)}: give all of {', '.join(wanted)}")
