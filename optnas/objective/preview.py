"""What is known exactly of an architecture before any training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch
from optuna.study import Study
from optuna.trial import FixedTrial, FrozenTrial, Trial

from optnas.candidate import Candidate
from optnas.devices.sharing import Sharing
from optnas.metrics import Metric
from optnas.metrics.zero_cost import PREDICTOR_PROXIES, zero_cost
from optnas.objective.asking import step
from optnas.objective.bounds import Bounds
from optnas.search_spaces import ParameterSpace, SearchSpace
from optnas.study.attributes import ARCHITECTURE, PROXIES
from optnas.utils.random_state import seeded
from optnas.utils.silent import silent

Key = TypeVar("Key", int, str)


@dataclass(frozen=True)
class Preview:
    """What is known exactly of an architecture before its training.

    Each part is computed when it is first read, because their costs differ: zero-cost proxies take
    several times as long as counts. Reading a part raises what the user's code raises for an
    architecture that can't be built or run.

    Attributes:
        params: The trial's parameters; those beyond the architecture are ignored.
    """

    params: Mapping[str, Any]
    _source: Previews = field(repr=False, compare=False)

    @property
    def known(self) -> frozenset[int]:
        """The positions of the objectives that `values` has; reading it computes nothing."""
        return self._source.known

    @property
    def score(self) -> int | None:
        """The position of the first objective that a training gives, if there is one."""
        return self._source.score

    @cached_property
    def values(self) -> Mapping[int, float]:
        """The objectives that are counts, such as params, by position, as in `trial.values`."""
        return self._source.values(self.params)

    @cached_property
    def constraints(self) -> Mapping[str, float]:
        """How far each bound on a count is broken, by name, as in `trial.constraints`.

        A bound holds at 0 or less.
        """
        return self._source.constraints(self.params)

    @cached_property
    def proxies(self) -> Mapping[str, float]:
        """The zero-cost proxies by name; NaN for one that the network doesn't have."""
        return self._source.proxies(self.params)


class Previews:
    """Computes the parts of previews, each once for an architecture.

    Args:
        space: The search space.
        metrics: Those of the objective; the exact ones among them are used.
        objectives: Names of scores and metrics, in order.
        bounds: Those of the objective.

    Attributes:
        known: The positions of the objectives that are counts.
        score: The position of the first objective that the evaluator gives; None if there is none.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        metrics: Iterable[Metric],
        objectives: Sequence[str],
        bounds: Bounds,
    ) -> None:
        self._space = space
        measured = {metric.name: metric for metric in metrics}
        self._exact = {name: metric for name, metric in measured.items() if metric.exact}
        self._objectives = {i: name for i, name in enumerate(objectives) if name in self._exact}
        self._bounds = bounds.among(self._exact)
        self.known = frozenset(self._objectives)
        self.score = next((i for i, n in enumerate(objectives) if n not in measured), None)
        self._found: dict[tuple[str, str], Any] = {}
        self._study: Study | None = None
        self._read = 0

    def recall(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        """Takes the proxies that the trials of a study keep: other processes computed them."""
        if study is not self._study:
            self._study, self._read = study, 0
        for trial in trials[self._read :]:
            kept = _read_proxies(trial.user_attrs.get(PROXIES))
            if kept and isinstance(name := trial.user_attrs.get(ARCHITECTURE), str):
                self._found.setdefault(("proxies", name), kept)
        while self._read < len(trials) and trials[self._read].state.is_finished():
            self._read += 1

    def keep(self, trial: Trial, architecture: str) -> None:
        """Stores the proxies of a trial's architecture on it, if they were computed."""
        if found := self._found.get(("proxies", architecture)):
            kept = {name: None if math.isnan(value) else value for name, value in found.items()}
            trial.set_user_attr(PROXIES, kept)

    def values(self, params: Mapping[str, Any]) -> Mapping[int, float]:
        """See `Preview.values`."""
        return self._part("values", params, self._count) if self.known else {}

    def _count(self, candidate: Candidate) -> dict[int, float]:
        return {i: self._exact[name].measure(candidate) for i, name in self._objectives.items()}

    def constraints(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """See `Preview.constraints`."""
        if not self._bounds.limits:
            return {}

        def count(candidate: Candidate) -> dict[str, float]:
            return {
                name: self._bounds.excess(name, self._exact[name].measure(candidate))
                for name in self._bounds.limits
            }

        return self._part("constraints", params, count)

    def proxies(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """See `Preview.proxies`; there are none of a space without networks."""
        if isinstance(self._space, ParameterSpace):
            return {}
        return self._part("proxies", params, zero_cost)

    def _part(
        self, part: str, params: Mapping[str, Any], find: Callable[[Candidate], dict[Key, float]]
    ) -> dict[Key, float]:
        """One part, computed unless the architecture has it, in turns with measurements."""
        with seeded(0), silent():
            architecture = self._space.suggest(FixedTrial(dict(params)))
            key = part, str(architecture)
            if key not in self._found:
                candidate = Candidate(
                    architecture,
                    self._space.example_inputs,
                    lambda: self._space.build(architecture),
                    disposable=True,
                )
                step()
                with Sharing(torch.device("cpu")):
                    self._found[key] = find(candidate)
        found: dict[Key, float] = self._found[key]
        return found


def _read_proxies(kept: Any) -> dict[str, float]:
    """The proxies that a trial keeps; empty if it keeps none, or something else."""
    if not isinstance(kept, dict) or set(kept) != set(PREDICTOR_PROXIES):
        return {}
    found = {name: math.nan if kept[name] is None else kept[name] for name in PREDICTOR_PROXIES}
    return found if all(type(value) in (int, float) for value in found.values()) else {}
