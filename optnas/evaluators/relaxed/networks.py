"""Relaxed networks of all sizes, each built once (part of `relaxed`)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from optuna import TrialPruned
from optuna.distributions import BaseDistribution
from torch import nn

from optnas.candidate import materialize
from optnas.errors import InputError, fault_of_candidate, with_place
from optnas.evaluators.relaxed.costs import CostTable, Counter
from optnas.search_spaces import Relaxable, RelaxedTrial, SearchSpace
from optnas.search_spaces.choice import is_skip, mixtures
from optnas.search_spaces.mixture import Mixture, uniform
from optnas.utils.inputs import Inputs, call, copied
from optnas.utils.random_state import seeded
from optnas.utils.silent import silent

KEPT = 32
"""The number of networks that are kept for later steps."""
MOST_FAILURES = 100
"""A network is drawn anew this often where what was drawn makes none."""

Decision = tuple[str, BaseDistribution, Any]
Decide = Callable[[str, BaseDistribution], Any]
"""Returns the value of a decision that isn't relaxed."""


@dataclass(frozen=True)
class RelaxedNetwork:
    """A relaxed network of one size.

    Attributes:
        model: The network.
        decisions: Those that aren't relaxed.
        choices: The labels of each choice, by name.
        skips: The positions of skips among them.
        tables: The costs of its operations, one table for each metric.
    """

    model: nn.Module
    decisions: tuple[Decision, ...]
    choices: Mapping[str, tuple[str, ...]]
    skips: Mapping[str, frozenset[int]]
    tables: tuple[CostTable, ...]


class Networks:
    """Draws relaxed networks, and keeps the last ones.

    A define-by-run space says what it draws only while it builds. So the order of decisions is
    remembered as a tree, and a network is found by drawing along it, by the same random numbers as
    if it were built.

    Args:
        space: The search space.
        mixture: Weighs the operations.
        counter: Makes the tables of costs.
        device: Where the networks run.
        look: Checks what a new network returns.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        mixture: Mixture,
        counter: Counter,
        device: torch.device,
        look: Callable[[nn.Module], None] | None = None,
    ) -> None:
        self._space, self._mixture, self._counter = space, mixture, counter
        self._device, self._look = device, look
        self._order: dict[tuple[tuple[str, Any], ...], tuple[str, BaseDistribution]] = {}
        self._kept: OrderedDict[tuple[tuple[str, Any], ...], RelaxedNetwork] = OrderedDict()

    def draw(self, decide: Callable[[int], Decide]) -> RelaxedNetwork:
        """A network; the mixture must be set anew afterwards.

        Args:
            decide: What takes the decisions of each attempt, counted from 0: a network that can't
                be made is drawn anew.

        Raises:
            InputError: The space makes no network, or one that has nothing to relax.
        """
        for failures in range(MOST_FAILURES):
            drawn: dict[str, Any] = {}
            try:
                return self._found(drawn, decide(failures))
            except InputError:
                raise
            except (TrialPruned, RuntimeError, ValueError) as error:
                if fault_of_candidate(error) or failures + 1 == MOST_FAILURES:
                    raise InputError(
                        f"no relaxed network of {self._space!r} could be made or run: "
                        f"{with_place(error)}"
                    ) from error
        raise AssertionError

    def _found(self, drawn: dict[str, Any], decide: Decide) -> RelaxedNetwork:
        while (path := tuple(drawn.items())) in self._order:
            name, distribution = self._order[path]
            drawn[name] = decide(name, distribution)
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        network = self._made(drawn, decide)
        self._kept[tuple((name, value) for name, _, value in network.decisions)] = network
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return network

    def _made(self, drawn: Mapping[str, Any], decide: Decide) -> RelaxedNetwork:
        self._mixture.set(lambda name, count: torch.zeros(count), uniform)
        trial = _Deciding(drawn, decide, self._mixture)
        example = self._space.example_inputs
        # The same weights whenever it is built, and none of the training's random numbers.
        with seeded(0), silent():
            model = relaxed_network(self._space, trial)
            materialize(model, example)
            choices = mixtures(model)
            if not choices:
                raise InputError(nothing_to_relax(self._space))
            check_shapes(model, example)
            tables = tuple(self._counter.tables(model, example))
            model = model.train().to(self._device)
            if self._look is not None:
                self._look(model)
        path: tuple[tuple[str, Any], ...] = ()
        for name, distribution, value in trial.decided:
            self._order[path] = name, distribution
            path = (*path, (name, value))
        skips: dict[str, frozenset[int]] = {}
        for _, mixed in choices:
            named = enumerate(zip(mixed.labels, mixed.branches, strict=True))
            own = frozenset(i for i, (label, module) in named if is_skip(label, module))
            skips[mixed.name] = skips.get(mixed.name, frozenset()) | own
        return RelaxedNetwork(model, tuple(trial.decided), dict(trial.relaxed), skips, tables)


def relaxed_network(space: SearchSpace[Any], trial: RelaxedTrial) -> nn.Module:
    """The relaxed network of a space.

    Raises:
        InputError: The space has none, or makes something else.
    """
    if not isinstance(space, Relaxable):
        raise InputError(nothing_to_relax(space))
    model = space.relaxed(trial)
    if not isinstance(model, nn.Module):
        raise InputError(
            f"the relaxed network of {space!r} must be a torch.nn.Module, got "
            f"{type(model).__name__}"
        )
    return model


def nothing_to_relax(space: SearchSpace[Any]) -> str:
    """Why a space has no relaxed network, and what to do."""
    return (
        f"{space!r} has nothing that gradients can choose: a GradientSampler needs choices between "
        "operations. Draw them by `optnas.choose(trial, name, {label: make, …})` in the function "
        "of a FunctionSpace, or take a CellSpace or a NASBench201Space; any other sampler takes "
        "the space as it is"
    )


def check_shapes(model: nn.Module, example: Inputs) -> None:
    """Runs all operations once; raises InputError if those of a choice can't be added."""
    training = model.training
    with torch.no_grad():
        call(model.eval(), copied(example))
    model.train(training)


class _Deciding(RelaxedTrial):
    """A relaxed trial whose other decisions are given, or taken by a function."""

    def __init__(self, drawn: Mapping[str, Any], decide: Decide, mixture: Mixture) -> None:
        super().__init__(dict(drawn), Random(0), mixture)
        self._decide = decide
        self.decided: list[Decision] = []

    # Every `suggest_*` of FixedTrial calls this.
    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        known = {one for one, _, _ in self.decided}
        if name not in self._params:
            self._params[name] = self._decide(name, distribution)
        value = super()._suggest(name, distribution)
        if name not in known:
            self.decided.append((name, distribution, value))
        return value
