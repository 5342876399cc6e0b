"""Your own training code as an evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report
from optnas.study.objectives import Direction
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.random_state import seeded


class FunctionEvaluator(Evaluator):
    """Calls `fn(model, recipe, report)`, which trains the model in place and returns scores.

    The function runs under the trial's seed (torch, NumPy and random), on the device that it
    chooses. Call `report(epoch, {"val_loss": 0.3})` after each epoch to keep the curve; it may
    raise `optuna.TrialPruned`, which the function must let through. Call `report.give_way()` before
    each step to let another worker's latency measurement have the device. Call
    `report.weights(model)` when the network, or an average of it, has the weights of the scores
    that will be returned, unless they are those at the end. A checkpoint that the
    function writes into `report.folder` (unless that is None) is there for the retry if the trial's
    process dies.

    Example:
        ```python
        import optnas

        def fit(model, recipe, report):
            loss = 0.3  # train the model here, with recipe["rate"]
            report(0, {"val_loss": loss})
            return {"val_loss": loss}

        evaluator = optnas.FunctionEvaluator(
            fit,
            {"val_loss": "minimize"},
            lambda trial: {"rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True)},
        )
        ```

    Args:
        fn: The training code. It must return a dictionary with every name in `provides`.
        provides: The names of the scores, each with `minimize` or `maximize`.
        suggest: Draws the recipe from the trial: anything whose `str()` distinguishes recipes, such
            as a dictionary. Without it the recipe is an empty string.

    Raises:
        ValueError: `provides` is empty, or a direction is unknown.
    """

    def __init__(
        self,
        fn: Callable[[Any, Any, Report], Mapping[str, float]],
        provides: Mapping[str, Direction],
        suggest: Callable[[Any], object] | None = None,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"fn must be a function of model, recipe and report, got {fn!r}")
        self._fn = fn
        self._provides = check_directions("provides", provides)
        self._suggest = suggest
        self._code = {
            "code": code_hash(fn),
            "recipe code": code_hash(suggest) if suggest else "none",
        }

    def __repr__(self) -> str:
        name = getattr(self._fn, "__qualname__", type(self._fn).__name__)
        return f"FunctionEvaluator({name}, {self._provides})"

    @property
    def provides(self) -> Mapping[str, Direction]:
        """As given."""
        return self._provides

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The function's name, and hashes of its code; the code that it calls isn't included."""
        return {"function": callable_name(self._fn)} | self._code

    def suggest(self, trial: BaseTrial) -> object:
        """The recipe that the given function draws; an empty string without one."""
        return self._suggest(trial) if self._suggest else ""

    def evaluate(self, candidate: Candidate, recipe: Any, report: Report) -> dict[str, float]:
        """Calls the function under the candidate's seed."""
        model = candidate.model
        with seeded(candidate.seed):
            scores = self._fn(model, recipe, report)
        if not isinstance(scores, Mapping):
            raise InputError(
                f"{callable_name(self._fn)} must return a dictionary of scores "
                f"({', '.join(self._provides)}), got {scores!r}"
            )
        return dict(scores)


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
