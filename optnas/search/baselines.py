"""What is known of the baselines before a run: one that breaks a bound isn't trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna.study import Study
from optuna.trial import FixedTrial

from optnas.candidate import Candidate
from optnas.errors import exits_refused, with_place
from optnas.metrics import Metric
from optnas.objective.bounds import Bounds
from optnas.objective.objective import Objective
from optnas.search_spaces import ParameterSpace
from optnas.study.attributes import BASELINE
from optnas.utils.random_state import seeded
from optnas.utils.silent import silent


def baseline_faults(objective: Objective, metrics: Sequence[Metric]) -> dict[str, str]:
    """What is wrong with each baseline that has a fault: it can't run, or breaks a bound.

    Args:
        objective: The objective.
        metrics: Exact metrics; all bounds on these are looked at.
    """
    found = {}
    for name in objective.baseline_params:
        try:
            costs = _costs(objective, name, metrics)
        except Exception as error:  # its function is the user's
            found[name] = f"can't be run: {with_place(error)}"
            continue
        if why := _broken(objective, costs):
            found[name] = why
    return found


def untrained_baselines(objective: Objective, study: Study) -> list[str]:
    """Says of each baseline that a study doesn't have yet if it won't be trained, and why.

    A baseline that can't be counted isn't among them: its trial says what is wrong.
    """
    if isinstance(objective.space, ParameterSpace):
        return []
    bounded = [m for m in objective.metrics if m.exact and m.name in objective.constraints]
    there = {trial.user_attrs.get(BASELINE) for trial in study.get_trials(deepcopy=False)}
    found = []
    for name in objective.baseline_params.keys() - there if bounded else ():
        try:
            why = _broken(objective, _costs(objective, name, bounded))
        except Exception:
            continue
        if why:
            found.append(f"baseline {name} {why}")
    return sorted(found)


def _costs(objective: Objective, name: str, metrics: Sequence[Metric]) -> dict[str, float]:
    """Exact metrics of a baseline, by name."""
    builder = objective.baselines.get(name)
    with exits_refused(), seeded(0), silent():
        if builder is None:
            candidate = objective.candidate(FixedTrial(objective.baseline_params[name]))
        else:
            candidate = Candidate("baseline", objective.space.example_inputs, builder)
        return {metric.name: metric.measure(candidate) for metric in metrics}


def _broken(objective: Objective, costs: Mapping[str, float]) -> str:
    """What becomes of a baseline with these costs, if it breaks a bound; else empty."""
    bounds = Bounds(objective.constraints, objective.known).among(costs)
    broken = [bounds.broken(n, costs[n]) for n in bounds.limits if bounds.excess(n, costs[n]) > 0]
    if not broken:
        return ""
    # Limits that are given by numbers hold without any baseline.
    lost = ", and sets no reference" if isinstance(objective.reference, str) else ""
    return f"won't be trained{lost}: {'; '.join(broken)}"
