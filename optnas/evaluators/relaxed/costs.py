"""The costs that a discretised network is expected to have (part of `relaxed`).

Each operation is counted once, in its place in the relaxed network; a table has the numbers. The
expected cost is the sum over choices and operations of probability times cost, plus the cost of
what isn't relaxed. For params, macs and flops that is exact where networks consist of the same
operations as the relaxed one. Latencies are measured operation by operation, as ProxylessNAS does
(Cai, Zhu and Han, arXiv 1812.00332), and added up.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from optnas.candidate import Candidate
from optnas.metrics import Flops, Latency, Macs, Metric, Params
from optnas.metrics.counting import count_modules
from optnas.search_spaces.choice import MixedOperation, mixtures
from optnas.utils.inputs import Inputs, call


def has_table(metric: Metric) -> bool:
    """Whether a metric's expectation can be computed from the costs of single operations."""
    return isinstance(metric, (Params, Macs, Flops, Latency)) and metric.direction == "minimize"


@dataclass(frozen=True)
class CostTable:
    """What each operation of a relaxed network costs.

    Attributes:
        rest: The cost of what isn't relaxed.
        choices: Each choice in each place, with the cost of its operations (without the choices
            inside of them), and the choices inside of each.
    """

    rest: float
    choices: tuple[ChoiceCosts, ...]

    def expected(self) -> Tensor:
        """The expected cost under the present logits, with its gradient."""
        found = torch.tensor(self.rest)
        for choice in self.choices:
            found = found + choice.expected()
        return found


@dataclass(frozen=True)
class ChoiceCosts:
    """A choice in one place of the network (see `CostTable`)."""

    mixed: MixedOperation
    costs: tuple[float, ...]
    inside: tuple[tuple[ChoiceCosts, ...], ...]

    def expected(self) -> Tensor:
        """The expected cost of the choice."""
        probabilities = self.mixed.probabilities().cpu()
        costs = [
            sum((choice.expected() for choice in inner), torch.tensor(own))
            for own, inner in zip(self.costs, self.inside, strict=True)
        ]
        return (probabilities * torch.stack(costs)).sum()


class Counter:
    """Makes the tables of relaxed networks.

    Args:
        metrics: Those with a table.

    Attributes:
        metrics: As given.
        times: The latencies measured so far, by metric, operation and shapes.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = tuple(metrics)
        self.times: dict[str, float] = {}

    def tables(self, model: nn.Module, example: Inputs) -> list[CostTable]:
        """A table for each metric.

        Args:
            model: The relaxed network, on the CPU, with a mixture that runs all operations.
            example: One batch element.
        """
        macs: dict[str, float] = {}
        found = []
        for metric in self.metrics:
            if isinstance(metric, Params):
                costs = _params(model)
            elif isinstance(metric, Latency):
                costs = self._latencies(metric, model, example)
            else:
                if not macs:
                    macs = {n: float(c.macs) for n, c in count_modules(model, example).items()}
                factor = 2.0 if isinstance(metric, Flops) else 1.0
                costs = {name: factor * count for name, count in macs.items()}
            found.append(_table(model, costs))
        return found

    def _latencies(self, metric: Latency, model: nn.Module, example: Inputs) -> dict[str, float]:
        """The time of each operation, and of each layer elsewhere."""
        timed = _timed(model)
        given: dict[str, tuple[Any, ...]] = {}
        copied = copy.deepcopy(model).eval()
        for name, module in copied.named_modules():
            if name in timed:
                module.register_forward_pre_hook(_noted(given, name))
        with torch.no_grad():
            call(copied, example)
        modules, times = dict(model.named_modules()), dict[str, float]()
        for name, args in given.items():
            if not args or not all(isinstance(x, Tensor) for x in args):
                continue  # it can't be run alone
            shapes = [tuple(x.shape) for x in args]
            key = f"{metric.name} {modules[name]!r} {shapes}"
            if isinstance(modules[name], nn.Identity):
                times[name] = 0.0
                continue
            if key not in self.times:
                inputs: Inputs = args[0] if len(args) == 1 else args
                one = partial(copy.deepcopy, modules[name])
                candidate = Candidate(key, inputs, one, disposable=True)
                self.times[key] = metric.measure(candidate)
            times[name] = self.times[key]
        return times


def _noted(given: dict[str, tuple[Any, ...]], name: str) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
        given.setdefault(name, args)

    return hook


def _timed(model: nn.Module) -> set[str]:
    """Operations without choices inside of them, and the innermost modules of all else."""
    choices = [name for name, _ in mixtures(model)]
    branches = {
        f"{name}.operations.{key}"
        for name, mixed in mixtures(model)
        for key in mixed.operations
        if not any(other.startswith(f"{name}.operations.{key}.") for other in choices)
    }
    leaves = {
        name
        for name, module in model.named_modules()
        if not list(module.children())
        and not any(name.startswith(f"{branch}.") for branch in branches)
    }
    return branches | leaves


def _params(model: nn.Module) -> dict[str, float]:
    """The number of each module's own parameters; tied ones count once."""
    seen: set[int] = set()
    found: dict[str, float] = {}
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        found[name] = float(sum(p.numel() for p in own))
    return found


def _table(model: nn.Module, costs: Mapping[str, float]) -> CostTable:
    """Sums the costs of modules up, for each operation of each choice."""
    places = mixtures(model)
    # The innermost operation that a module lies in, with the choice inside of which it is.
    operations = {
        f"{name}.operations.{key}": (name, i)
        for name, mixed in places
        for i, key in enumerate(mixed.operations)
    }

    def place_of(name: str) -> str:
        while name and name not in operations:
            name = name.rpartition(".")[0]
        return name

    sums: dict[str, float] = {}
    for name, cost in costs.items():
        place = place_of(name)
        sums[place] = sums.get(place, 0.0) + cost
    modules = dict(places)

    def choice(name: str) -> ChoiceCosts:
        keys = [f"{name}.operations.{key}" for key in modules[name].operations]
        return ChoiceCosts(
            modules[name],
            tuple(sums.get(key, 0.0) for key in keys),
            tuple(inside(key) for key in keys),
        )

    def inside(operation: str) -> tuple[ChoiceCosts, ...]:
        return tuple(choice(n) for n, _ in places if place_of(n) == operation)

    return CostTable(sums.get("", 0.0), inside(""))
