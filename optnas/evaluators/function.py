"""Your own training code as an evaluator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators.abilities import Retrainable, configured
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.example_batch import warn_of_several
from optnas.evaluators.function_retraining import FunctionRetraining
from optnas.evaluators.returned_scores import returned_scores
from optnas.study.objectives import Direction, check_directions
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.random_state import seeded

Train = Callable[[Any, Any, Report], Mapping[str, float] | float | None]
"""Training code: it is called with model, recipe and report, and returns scores."""


class FunctionEvaluator(Evaluator, Retrainable):
    """Calls `fn(model, recipe, report)`, which trains the model in place and returns scores.

    The function runs under the trial's seed (torch, NumPy and random), on the device that it
    chooses. Call `report(epoch, {"val_loss": 0.3})` after each epoch to keep the curve; it may
    raise `optuna.TrialPruned`, which the function must let through. Call `report.give_way()` before
    each step to let another worker's latency measurement have the device. Call
    `report.weights(model)`, or with a `state_dict`, when the network, or an average of it, has the
    weights of the scores that will be returned, unless they are those at the end. A checkpoint that
    the function writes into `report.folder` (unless that is None) is there for the retry if the
    trial's process dies.

    `retrain` gives a chosen network its final training: on all but the test part, with scores on
    the test part (`optnas retrain`). It may be the same function, which then trains and scores that
    way where `report.final` is True.

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
        fn: The training code. It returns a dictionary with every name in `provides`; or a number,
            where `provides` has one name; or None, and the scores of its last `report` count.
        provides: The names of the scores, each with `minimize` or `maximize`.
        suggest: Draws the recipe from the trial: anything whose `str()` distinguishes recipes, such
            as a dictionary. Without it the recipe is an empty string.
        retrain: The final training, `retrain(model, recipe, report)`. Its scores have names that
            begin with `test_`, such as `{"test_loss": 0.3}`; if it looks at `report.final`, those
            of `provides` are taken for them (`val_loss` for `test_loss`).

    Raises:
        TypeError: A function isn't callable.
        InputError: A function doesn't take model, recipe and report.
        ValueError: `provides` is empty, or a direction is unknown.
    """

    def __init__(
        self,
        fn: Train,
        provides: Mapping[str, Direction],
        suggest: Callable[[Any], object] | None = None,
        *,
        retrain: Train | None = None,
    ) -> None:
        for name, function in (("fn", fn), ("retrain", fn if retrain is None else retrain)):
            if not callable(function):
                raise TypeError(
                    f"{name} must be a function of model, recipe and report, got {function!r}"
                )
            _check_form(function)
        self._fn = fn
        self._provides = check_directions("provides", provides)
        self._suggest = suggest
        self._code = {
            "code": code_hash(fn),
            "recipe code": code_hash(suggest) if suggest else "none",
        }
        self._looked = False
        self._retraining = None if retrain is None else FunctionRetraining(self, retrain)

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
        if not self._looked:
            self._looked = True
            warn_of_several(model, candidate.example_inputs)
        with seeded(candidate.seed):
            returned = self._fn(model, recipe, report)
        return returned_scores(self._fn, returned, report, list(self._provides))

    def retraining(self, epochs: int | None = None) -> Evaluator:
        """The evaluator that calls `retrain`.

        Raises:
            InputError: There is no `retrain`, or `epochs` is given, which only the code decides on.
        """
        if self._retraining is None:
            raise InputError(
                f"a {type(self).__name__} has no retraining: it alone knows its data. Give it "
                "FunctionEvaluator(…, retrain=train), where train(model, recipe, report) is your "
                'own code that trains on all but the test part and returns {"test_loss": …}; it '
                "may be the search's function, if that does so where `report.final` is True"
            )
        configured(self, epochs=epochs)
        return self._retraining


def _check_form(function: Callable[..., object]) -> None:
    """Raises InputError if a function can't be called with three arguments by position."""
    try:
        # What a wrapper takes counts, and not what it wraps.
        taken = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # some that are written in C have none
        return
    try:
        taken.bind(None, None, None)
    except TypeError as error:
        name = callable_name(function)
        raise InputError(
            f"the training function must be {name}(model, recipe, report), got {name}{taken}: let "
            "it take these three by position, also where it doesn't need them (functools.partial "
            "sets further ones)"
        ) from error
