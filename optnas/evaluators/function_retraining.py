"""The final training of a chosen network by a person's own code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators.abilities import TEST
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.retraining import names_on_test
from optnas.evaluators.returned_scores import returned_scores
from optnas.study.objectives import Direction
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.random_state import seeded


class FunctionRetraining(Evaluator):
    """Calls `train(model, recipe, report)`, with a final report, for scores on the test part.

    Scores have names that begin with `test_`. A function that also trains in the search may keep
    the names that its scores have there, if it looks at `report.final`: a function that doesn't
    look can't know that it shall score on the test part.

    Args:
        search: The evaluator that scored the trial: recipes and names are taken from it.
        train: The training code.
    """

    def __init__(self, search: Evaluator, train: Callable[[Any, Any, Report], object]) -> None:
        self._search = search
        self._train = train
        self._code = code_hash(train)
        self.device = search.device

    def __repr__(self) -> str:
        return f"FunctionRetraining({callable_name(self._train)}, {self._search!r})"

    @property
    def provides(self) -> Mapping[str, Direction]:
        """The search's scores, with `test` in their names; the function may leave some of them out.

        It may return others that begin with `test_`, too.
        """
        names = names_on_test(self._search.provides)
        return {names[name]: d for name, d in self._search.provides.items()}

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The search's, and the name and a hash of the code of the final training."""
        own = {"retrain": callable_name(self._train), "retrain code": self._code}
        return dict(self._search.fingerprint) | own

    def suggest(self, trial: BaseTrial) -> object:
        """The recipe that the trial drew."""
        return self._search.suggest(trial)

    def evaluate(self, candidate: Candidate, recipe: Any, report: Report) -> dict[str, float]:
        """Calls the function under the candidate's seed.

        Raises:
            InputError: It returned no scores on the test part.
        """
        model = candidate.model
        with seeded(candidate.seed):
            returned = self._train(model, recipe, report)
        names = names_on_test(self._search.provides)
        scores = returned_scores(self._train, returned, report, list(names))
        found = {name: score for name, score in scores.items() if name.startswith(TEST)}
        for name, on_test in names.items():
            if name not in scores or name in found or on_test in found:
                continue
            if not report.asked_final:
                raise InputError(
                    f"{callable_name(self._train)} returned {name} of a final training without a "
                    f"look at `report.final`: return {on_test}, a score on the test part; or, if "
                    "the function trains in the search, too, let it train on all but the test part "
                    "and score there where `report.final` is True"
                )
            found[on_test] = scores[name]
        return found or scores
