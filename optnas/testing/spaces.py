"""What every search space must do."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FixedTrial
from torch import Tensor, nn

from optnas.metrics.counting import count_macs
from optnas.search_spaces import Encodable, SearchSpace
from optnas.testing.common import missing, random_study
from optnas.utils.draft import Draft
from optnas.utils.inputs import call, in_order


def architectures(
    space: SearchSpace[Any], number: int, seed: int = 0
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Random architectures of a space, each with its trial's parameters."""
    study = random_study(seed)
    for _ in range(number):
        trial = study.ask()
        yield space.suggest(trial), trial.params


class SpaceContract:
    """What a `SearchSpace` must do: build networks that run, and decode its own trials.

    To set: `space`, the search space, as an attribute of the class.

    Attributes:
        samples: How many random architectures most of the tests look at.
        isomorphic: Whether other parameters may give the same network, as in a space of cells
            without regard to the order of their nodes. Such trials must have equal architectures.

    Example:
        ```python
        import torch

        import optnas
        from optnas.testing import SpaceContract


        def build(trial):
            layers, size = [], 4
            for i in range(trial.suggest_int("depth", 0, 2)):
                width = trial.suggest_int(f"layer{i}.width", 2, 8, step=2)
                layers += [torch.nn.Linear(size, width), torch.nn.ReLU()]
                size = width
            return torch.nn.Sequential(*layers, torch.nn.Linear(size, 3))


        class TestMySpace(SpaceContract):
            space = optnas.FunctionSpace(build, torch.zeros(1, 4))
        ```
    """

    samples: int = 25
    isomorphic: bool = False

    @property
    def space(self) -> SearchSpace[Any]:
        """The search space under test."""
        raise NotImplementedError(missing(self, "space, a search space"))

    def test_builds_networks_that_take_the_example_inputs(self) -> None:
        for architecture, _ in architectures(self.space, self.samples):
            outputs = call(self.space.build(architecture).eval(), self.space.example_inputs)
            tensors = list(_tensors(outputs))
            assert tensors, f"a network returned {outputs!r}, which holds no tensor"
            assert all(torch.isfinite(tensor).all() for tensor in tensors), str(architecture)

    def test_example_inputs_are_one_batch_element(self) -> None:
        tensors = in_order(self.space.example_inputs)
        assert all(tensor.ndim == 0 or len(tensor) == 1 for tensor in tensors)

    def test_suggest_decodes_finished_trials(self) -> None:
        for architecture, params in architectures(self.space, self.samples):
            again = self.space.suggest(FixedTrial(params))
            assert again == architecture
            assert str(again) == str(architecture)
            assert hash(again) == hash(architecture)

    def test_params_of_is_the_inverse_of_suggest(self) -> None:
        """Only of a space that can find the parameters of an architecture."""
        space = self.space
        if isinstance(space, Encodable):
            for architecture, _ in architectures(space, self.samples):
                params = space.params_of(architecture)
                assert space.suggest(FixedTrial(params)) == architecture

    def test_equal_strings_are_equal_networks_and_others_are_not(self) -> None:
        by_text: dict[str, tuple[object, nn.Module]] = {}
        by_params: dict[str, str] = {}
        by_architecture: dict[object, str] = {}
        example = self.space.example_inputs
        for architecture, params in architectures(self.space, 60):
            network = self.space.build(architecture)
            weights = {name: tuple(p.shape) for name, p in network.named_parameters()}
            text = str(architecture)
            facts = (weights, architecture if self.isomorphic else params)
            known, same = by_text.setdefault(text, (facts, network))
            assert known == facts
            if self.isomorphic and same is not network:  # else they have equal parameters
                assert count_macs(same, example) == count_macs(network, example)
            assert by_params.setdefault(repr(params), text) == text
            assert by_architecture.setdefault(architecture, text) == text

    def test_has_no_dead_parameters(self) -> None:
        """Each parameter of a trial changes the architecture when it alone is changed.

        In an isomorphic space, it does so in some trial: a second branch may be like the first one,
        or be left out together with what it leads to.
        """
        dead: dict[str, bool] = {}
        for architecture, params in architectures(self.space, 30 if self.isomorphic else 8):
            trial = FixedTrial(params)
            self.space.suggest(trial)
            for name, distribution in trial.distributions.items():
                if self.isomorphic and not dead.get(name, True):
                    continue
                others = [v for v in _some_values(distribution) if v != params[name]]
                for other in others[: None if self.isomorphic else 1]:
                    # What else the change brings along is drawn: a smaller image has smaller
                    # kernels.
                    changed = Draft(params | {name: other}, Random(0))
                    same = str(self.space.suggest(changed)) == str(architecture)
                    assert self.isomorphic or not same, name
                    dead[name] = dead.get(name, True) and same
        assert not [name for name, without_effect in dead.items() if without_effect]

    def test_building_again_gives_fresh_weights_and_the_same_parameters(self) -> None:
        architecture, _ = next(architectures(self.space, 1))
        first, second = self.space.build(architecture), self.space.build(architecture)
        assert first is not second
        assert [p.shape for p in first.parameters()] == [p.shape for p in second.parameters()]

    def test_fingerprint_is_stable(self) -> None:
        """The `repr()` of a plain object holds its address in memory, which is another one."""
        assert self.space.fingerprint == copy.copy(self.space).fingerprint


def _some_values(distribution: BaseDistribution) -> Sequence[Any]:
    """Values of a distribution, at least two where it has two."""
    match distribution:
        case CategoricalDistribution():
            return distribution.choices
        case IntDistribution(low=low, high=high, step=step):
            return range(low, high + 1, step)
        case FloatDistribution(low=low, high=high):
            return (low, high)
        case _:
            raise TypeError(f"unknown distribution {distribution!r}")


def _tensors(outputs: object) -> Iterator[Tensor]:
    """All tensors in what a network returned: one, or nested sequences and dictionaries of them."""
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, (Mapping, list, tuple)):
        for part in outputs.values() if isinstance(outputs, Mapping) else outputs:
            yield from _tensors(part)
