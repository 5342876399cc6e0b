"""What every search space must do."""

import copy

import optuna
import torch
from optuna.trial import FixedTrial

from optnas.utils.inputs import call


def architectures(space, number, seed=0):
    """Random architectures of a space, each with its trial's parameters."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(number):
        trial = study.ask()
        yield space.suggest(trial), trial.params


def values_of(distribution):
    match distribution:
        case optuna.distributions.CategoricalDistribution():
            return distribution.choices
        case optuna.distributions.IntDistribution():
            return range(distribution.low, distribution.high + 1, distribution.step)
        case optuna.distributions.FloatDistribution():
            return (distribution.low, distribution.high)


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
