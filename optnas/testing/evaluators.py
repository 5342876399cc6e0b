"""What every evaluator must do."""

import math
import random

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial

from optnas.candidate import Candidate
from optnas.evaluators import Report


class EvaluatorContract:
    """Attributes: `evaluator`, `space`."""

    def evaluate(self, seed=0):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        trial = study.ask()
        architecture = self.space.suggest(trial)
        candidate = Candidate(
            architecture,
            self.space.example_inputs,
            lambda: self.space.build(self.space.suggest(FixedTrial(trial.params))),
            seed,
        )
        report = Report()
        return self.evaluator.evaluate(candidate, self.evaluator.suggest(trial), report), report

    def test_returns_what_it_provides(self):
        scores, report = self.evaluate()
        assert set(scores) == set(self.evaluator.provides)
        assert all(math.isfinite(score) for score in scores.values())
        assert [entry["step"] for entry in report.curve] == list(range(len(report.curve)))

    def test_directions_are_known(self):
        assert set(self.evaluator.provides.values()) <= {"minimize", "maximize"}

    def test_same_seed_same_scores(self):
        assert self.evaluate(seed=3)[0] == pytest.approx(self.evaluate(seed=3)[0], rel=1e-6)

    def test_leaves_the_generators_alone(self):
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        self.evaluate()
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1:] == (random.getstate(), np.random.get_state()[1].tolist())

    def test_recipes_have_canonical_strings(self):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        trial = study.ask()
        recipe = self.evaluator.suggest(trial)
        assert str(recipe) == str(self.evaluator.suggest(FixedTrial(trial.params)))
