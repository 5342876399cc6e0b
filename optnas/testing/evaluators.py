"""What every evaluator must do."""

from __future__ import annotations

import math
from typing import Any

import pytest
from optuna.trial import FixedTrial

from optnas.candidate import Candidate
from optnas.evaluators import Evaluator, Report
from optnas.search_spaces import SearchSpace
from optnas.testing.common import generator_states, missing, random_study


class EvaluatorContract:
    """What an `Evaluator` must do: return the scores it provides, the same ones for one seed.

    To set, as attributes of the class: `evaluator`, and `space`, a search space whose networks it
    can evaluate. An evaluation should take seconds at most: the tests make four.

    Example:
        ```python
        import torch

        import optnas
        from optnas.testing import EvaluatorContract

        def train(model, recipe, report):
            x = torch.linspace(-1, 1, 32)[:, None]
            optimizer = torch.optim.SGD(model.parameters(), 0.05)
            for epoch in range(3):
                optimizer.zero_grad()
                loss = ((model(x) - x**2) ** 2).mean()
                loss.backward()
                optimizer.step()
                report(epoch, {"loss": loss.item()})
            return {"loss": loss.item()}


        class TestMyEvaluator(EvaluatorContract):
            evaluator = optnas.FunctionEvaluator(train, {"loss": "minimize"})
            space = optnas.MLPSpace((1,), 1)
        ```
    """

    @property
    def evaluator(self) -> Evaluator:
        """The evaluator under test."""
        raise NotImplementedError(missing(self, "evaluator, an evaluator"))

    @property
    def space(self) -> SearchSpace[Any]:
        """A search space whose networks the evaluator can evaluate."""
        raise NotImplementedError(missing(self, "space, a search space for the evaluator"))

    def evaluate(self, seed: int = 0) -> tuple[dict[str, float], Report]:
        """Evaluates a random network of the space.

        Returns:
            Its scores, and the report with the learning curve.
        """
        trial = random_study().ask()
        architecture = self.space.suggest(trial)
        candidate = Candidate(
            architecture,
            self.space.example_inputs,
            lambda: self.space.build(self.space.suggest(FixedTrial(trial.params))),
            seed,
        )
        report = Report()
        return self.evaluator.evaluate(candidate, self.evaluator.suggest(trial), report), report

    def test_returns_what_it_provides(self) -> None:
        scores, report = self.evaluate()
        assert set(scores) == set(self.evaluator.provides)
        assert all(math.isfinite(score) for score in scores.values())
        assert [entry["step"] for entry in report.curve] == list(range(len(report.curve)))

    def test_directions_are_known(self) -> None:
        assert set(self.evaluator.provides.values()) <= {"minimize", "maximize"}

    def test_same_seed_same_scores(self) -> None:
        assert self.evaluate(seed=3)[0] == pytest.approx(self.evaluate(seed=3)[0], rel=1e-6)

    def test_leaves_the_generators_alone(self) -> None:
        before = generator_states()
        self.evaluate()
        assert generator_states() == before

    def test_recipes_have_canonical_strings(self) -> None:
        trial = random_study().ask()
        recipe = self.evaluator.suggest(trial)
        assert str(recipe) == str(self.evaluator.suggest(FixedTrial(trial.params)))
