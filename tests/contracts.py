"""What every space, evaluator, metric and sampler must do; tests of a new one inherit these.

class TestMySpace(SpaceContract):
    space = MySpace(...)
"""

import copy
import math
import random

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial

from optnas.candidate import Candidate, call
from optnas.evaluators import Report
from optnas.trials import BASELINE


def architectures(space, number, seed=0):
    """Random architectures of a space, each with its trial's parameters."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(number):
        trial = study.ask()
        yield space.suggest(trial), trial.params


class SpaceContract:
    """Attribute: `space`."""

    samples = 25

    def test_builds_networks_that_take_the_example_inputs(self):
        for architecture, _ in architectures(self.space, self.samples):
            outputs = call(self.space.build(architecture).eval(), self.space.example_inputs)
            assert torch.isfinite(outputs).all()

    def test_example_inputs_are_one_batch_element(self):
        inputs = self.space.example_inputs
        tensors = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
        assert all(len(tensor) == 1 for tensor in tensors)

    def test_suggest_decodes_finished_trials(self):
        for architecture, params in architectures(self.space, self.samples):
            again = self.space.suggest(FixedTrial(params))
            assert again == architecture
            assert str(again) == str(architecture)
            assert hash(again) == hash(architecture)

    def test_equal_strings_are_equal_networks_and_others_are_not(self):
        shapes = {}
        for architecture, params in architectures(self.space, 60):
            network = self.space.build(architecture)
            weights = {name: tuple(p.shape) for name, p in network.named_parameters()}
            seen = shapes.setdefault(str(architecture), (weights, params))
            assert seen == (weights, params)

    def test_has_no_dead_parameters(self):
        """Each parameter of a trial changes the architecture when it alone is changed."""
        for architecture, params in architectures(self.space, 8):
            trial = FixedTrial(params)
            self.space.suggest(trial)
            for name, distribution in trial.distributions.items():
                others = [v for v in values_of(distribution) if v != params[name]]
                if not others:
                    continue
                changed = dict(params) | {name: others[0]}
                study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
                study.enqueue_trial(changed)
                assert str(self.space.suggest(study.ask())) != str(architecture), name

    def test_building_again_gives_fresh_weights_and_the_same_parameters(self):
        architecture, _ = next(iter(architectures(self.space, 1)))
        first, second = self.space.build(architecture), self.space.build(architecture)
        assert first is not second
        assert [p.shape for p in first.parameters()] == [p.shape for p in second.parameters()]

    def test_fingerprint_is_stable(self):
        assert self.space.fingerprint == copy.copy(self.space).fingerprint


def values_of(distribution):
    match distribution:
        case optuna.distributions.CategoricalDistribution():
            return distribution.choices
        case optuna.distributions.IntDistribution():
            return range(distribution.low, distribution.high + 1, distribution.step)
        case optuna.distributions.FloatDistribution():
            return (distribution.low, distribution.high)


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


class MetricContract:
    """Attribute: `metric`."""

    @staticmethod
    def network(width):
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, width, 3, padding=1),
            torch.nn.BatchNorm2d(width),
            torch.nn.ReLU(),
            torch.nn.Conv2d(width, width, 3, padding=1),
            torch.nn.Flatten(),
            torch.nn.Linear(width * 256, 10),
        )

    def candidate(self, width=8):
        return Candidate("", torch.randn(1, 3, 16, 16), lambda: self.network(width))

    def test_leaves_the_model_alone(self):
        candidate = self.candidate()
        model = candidate.model
        model[1].eval()
        model(candidate.example_inputs).sum().backward()
        state = copy.deepcopy(model.state_dict())
        modes = [m.training for m in model.modules()]
        grads = [p.grad.clone() for p in model.parameters()]
        rng, threads = torch.get_rng_state(), torch.get_num_threads()
        self.metric.measure(candidate)
        assert candidate.model is model
        assert list(state) == list(model.state_dict())
        assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
        assert modes == [m.training for m in model.modules()]
        assert all(torch.equal(a, p.grad) for a, p in zip(grads, model.parameters(), strict=True))
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        assert torch.equal(rng, torch.get_rng_state())
        assert threads == torch.get_num_threads()

    def test_is_finite_and_grows_with_the_width(self):
        small, large = (self.metric.measure(self.candidate(width)) for width in (8, 64))
        assert 0 < small < large < math.inf

    def test_counts_are_repeatable(self):
        if self.metric.exact:
            first, second = (self.metric.measure(self.candidate()) for _ in range(2))
            assert first == second == round(first)

    def test_names_itself(self):
        assert self.metric.name
        assert self.metric.direction in ("minimize", "maximize")
        assert all(isinstance(key, str) for key in self.metric.fingerprint)


class SamplerContract:
    """Method: `make(seed)`, a sampler. Attribute: `relative`, whether it samples relatively."""

    relative = True

    @staticmethod
    def objective(trial):
        """Two objectives over a conditional space, deterministic."""
        depth = trial.suggest_int("depth", 1, 3)
        widths = [trial.suggest_categorical(f"layer{i}.width", [1, 2, 4]) for i in range(depth)]
        rate = trial.suggest_float("rate", 1e-3, 1e-1, log=True)
        return abs(math.log10(rate) + 2) + 1 / sum(widths), float(sum(widths))

    def params(self, seed, cuts, total=24):
        storage = optuna.storages.InMemoryStorage()
        done = 0
        for cut in [*cuts, total]:
            study = optuna.create_study(
                study_name="s",
                storage=storage,
                directions=["minimize"] * 2,
                sampler=self.make(seed),
                load_if_exists=True,
            )
            study.optimize(self.objective, n_trials=cut - done)
            done = cut
        return [trial.params for trial in study.trials]

    def test_resumes_exactly(self):
        whole = self.params(7, [])
        assert self.params(7, [1, 5, 17]) == whole
        assert self.params(8, []) != whole

    def test_an_omitted_seed_is_kept_in_the_study(self):
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(None))
        study.optimize(self.objective, n_trials=2)
        assert study.user_attrs["optnas:seed"] >= 0

    def test_baselines_leave_no_trace(self):
        """With trials of hand-made networks, the same parameters are sampled relatively."""
        spaces = []
        for baselines in (0, 2):
            study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(7))
            for i in range(baselines):
                study.add_trial(
                    optuna.create_trial(values=[0.1, i], params={}, user_attrs={BASELINE: str(i)})
                )
            study.optimize(self.objective, n_trials=14)
            frozen = study.ask()._cached_frozen_trial
            spaces.append(study.sampler.infer_relative_search_space(study, frozen))
        assert spaces[0].keys() == spaces[1].keys()
        assert ("rate" in spaces[0]) == self.relative
