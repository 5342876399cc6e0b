"""What a predictor is told of architectures before training (part of `predictor`)."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.errors import InputError
from optnas.samplers.mutation import Genes, genes_of, values_of
from optnas.samplers.names import UNSOUND
from optnas.study.objectives import objective_names

Costs = Callable[[Mapping[str, Any]], Mapping[int, float]]
"""Returns the objectives that are known before training, by position, given the parameters."""
Proxies = Callable[[Mapping[str, Any]], Mapping[str, float]]
"""Returns numbers that correlate with the loss, by name, given the parameters."""

EQUAL = 1e-3
"""The relative difference up to which a cost is what the trial stored: that of an exact metric on
another machine (`optnas.metrics.base.Metric.tolerance`)."""
ZERO = 1e-12
"""The absolute difference up to which it is: what is left where large numbers cancel out."""


class Known:
    """Costs and proxies of architectures, each computed once.

    Attributes:
        wrong: The positions of the costs that `check` found to be wrong.

    Args:
        costs: As given to the sampler.
        proxies: As given to the sampler.
    """

    def __init__(self, costs: Costs | None, proxies: Proxies | None) -> None:
        self._costs, self._proxies = costs, proxies
        self._costs_of: dict[str, dict[int, float]] = {}
        self._proxies_of: dict[str, list[float]] = {}
        self._objectives = 0
        self.wrong: frozenset[int] = frozenset()
        self._warned: set[int] = set()

    def begin(self, study: Study) -> None:
        """Says whose objectives the positions are, and believes all costs; it is called first."""
        self._objectives, self.wrong = len(study.directions), frozenset()

    def __call__(self, genes: Genes) -> tuple[dict[int, float], list[float]]:
        """The costs by position, and the proxies."""
        params = values_of(genes)
        key = str(params)
        if key not in self._proxies_of:
            proxies = {} if self._proxies is None else self._proxies(params)
            self._proxies_of[key] = _read_proxies(proxies)
        return self._believed(self._counted(params, key)), self._proxies_of[key]

    def costs(self, genes: Genes) -> dict[int, float]:
        """The costs by position."""
        params = values_of(genes)
        return self._believed(self._counted(params, str(params)))

    def told(self, genes: Genes) -> frozenset[int]:
        """The positions of all costs, of wrong ones, too."""
        params = values_of(genes)
        return frozenset(self._counted(params, str(params)))

    def _believed(self, found: dict[int, float]) -> dict[int, float]:
        return {i: v for i, v in found.items() if i not in self.wrong} if self.wrong else found

    def _counted(self, params: dict[str, Any], key: str) -> dict[int, float]:
        if key not in self._costs_of:
            costs = {} if self._costs is None else self._costs(params)
            self._costs_of[key] = _read_costs(costs, self._objectives)
        return self._costs_of[key]

    @property
    def has_costs(self) -> bool:
        """Whether any costs are told."""
        return self._costs is not None

    @property
    def has_proxies(self) -> bool:
        """Whether any proxies are told."""
        return self._proxies is not None

    def is_counted(self, genes: Genes) -> bool:
        """Whether costs can be computed, and none is NaN; not so for a network that can't run."""
        try:
            return not any(map(math.isnan, self.costs(genes).values()))
        except UNSOUND:
            return False

    def is_sound(self, genes: Genes) -> bool:
        """Whether costs and proxies can be computed, and no cost is NaN."""
        try:
            return not any(map(math.isnan, self(genes)[0].values()))
        except UNSOUND:
            return False

    def check(self, study: Study, trials: Sequence[FrozenTrial], *, strict: bool) -> None:
        """Compares the costs with what trials stored; until `begin`, wrong ones aren't known.

        A wrong cost misleads silently: the sampler never corrects what it takes for exact. A cost
        that can't be computed, or is NaN, isn't wrong.

        Args:
            study: The study.
            trials: Finished trials.
            strict: Whether a wrong cost is an error; else it is warned of, once.

        Raises:
            InputError: A cost is wrong, and `strict` is true.
        """
        wrong: set[int] = set()
        for trial in trials:
            if trial.state != TrialState.COMPLETE:
                continue
            for position, cost in self._comparable(trial).items():
                stored = trial.values[position]
                if position in wrong or math.isclose(cost, stored, rel_tol=EQUAL, abs_tol=ZERO):
                    continue
                wrong.add(position)
                what = (
                    f"{objective_names(study)[position]} of trial {trial.number} is {stored:.7g}, "
                    f"and {cost:.7g} by what the sampler knows before training"
                )
                if strict:
                    raise InputError(
                        f"{what}. The sampler relies on it, so the two must be equal: mend the "
                        "metric (`exact = False`, if it isn't the same each time) or the sampler's "
                        "`costs=`, or begin a new study if the code has changed"
                    )
                if position not in self._warned:
                    self._warned.add(position)
                    warnings.warn(
                        f"{what}; so the sampler predicts this objective, as it does the loss. "
                        "Correct `costs=` to have it exact",
                        stacklevel=2,
                    )
        self.wrong = frozenset(wrong)

    def _comparable(self, trial: FrozenTrial) -> dict[int, float]:
        params = values_of(genes_of(trial))
        try:
            costs = self._counted(params, str(params))
        except UNSOUND:
            return {}
        return {position: cost for position, cost in costs.items() if not math.isnan(cost)}


def part_of(
    preview: Callable[[Mapping[str, Any]], Any], name: str, params: Mapping[str, Any]
) -> Any:
    """What a preview (see `HistorySampler.fill_in`) says of a trial's parameters under a name."""
    return getattr(preview(params), name)


def _read_costs(found: Any, objectives: int) -> dict[int, float]:
    """What `costs` returned, as plain numbers.

    Raises:
        TypeError: It has another form. (No ValueError: that stands for a network that can't run.)
    """
    try:
        costs = {operator.index(position): _number(cost) for position, cost in found.items()}
    except (AttributeError, TypeError, ValueError):
        costs = None
    if costs is None or not all(0 <= position < objectives for position in costs):
        last = f"0 to {objectives - 1}" if objectives > 1 else "0"
        raise TypeError(
            f"costs must return a dictionary from positions of objectives ({last}) to numbers, got "
            f"{found!r}"
        )
    return costs


def _read_proxies(found: Any) -> list[float]:
    try:
        return [_number(proxy) for proxy in found.values()]
    except (AttributeError, TypeError, ValueError):
        raise TypeError(
            f"proxies must return a dictionary from names to numbers, got {found!r}"
        ) from None


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise TypeError
    return float(value)
