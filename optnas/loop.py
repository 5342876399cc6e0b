"""The loop that runs trials until there are enough COMPLETE ones."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from typing import Protocol

from optuna import TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from optnas.errors import InputError
from optnas.objective import Objective
from optnas.pareto import keep_reference
from optnas.recovery import INTERRUPTED, recover, runs_here
from optnas.trials import BASELINE, FAILURE, LOST, is_lost

log = logging.getLogger("optnas")


class Observer(Protocol):
    """What is told of a run while it goes on."""

    def recovered(self, numbers: list[int]) -> None:
        """These lost trials were queued again."""

    def finished(self, study: Study, trial: FrozenTrial) -> None:
        """A trial has ended, in whichever state."""


def run_trials(
    study: Study,
    objective: Objective,
    *,
    trials: int,
    hours: float | None = None,
    observer: Observer | None = None,
) -> None:
    """Runs trials until `trials` of the study are COMPLETE, or the time is up.

    Trials that were lost (their process was killed or interrupted) are taken up again first;
    baselines that the study doesn't have yet come next. PRUNED, failed and lost trials don't
    count, and there may be `10 · trials + 100` pruned and failed ones.

    Args:
        study: The study, with its sampler.
        objective: The objective.
        trials: The total of COMPLETE trials to reach.
        hours: Time for this call; the trial that is running then is finished.
        observer: Told of every trial that ends.

    Raises:
        InputError: Too many trials were pruned or failed; says which bounds they broke.
        KeyboardInterrupt: The running trial is marked lost first.
        Exception: What the objective raised, if no trial has succeeded yet: the code is wrong,
            not an architecture.
    """
    deadline = math.inf if hours is None else time.monotonic() + 3600 * hours
    queued = recover(study)
    if observer is not None and queued:
        observer.recovered(queued)
    _queue_baselines(study, objective)
    cap = 10 * trials + 100
    while time.monotonic() < deadline:
        ended = [t for t in study.get_trials(deepcopy=False) if not is_lost(t)]
        count = Counter(t.state for t in ended)
        if count[TrialState.COMPLETE] >= trials:
            break
        if count[TrialState.PRUNED] + count[TrialState.FAIL] >= cap:
            raise InputError(_why_infeasible(ended, trials, cap))
        promised = count[TrialState.COMPLETE] + sum(map(runs_here, ended))
        if promised >= trials and not count[TrialState.WAITING]:
            break  # other processes of this machine are running the rest
        trial = _run_one(study, objective, alone=not count[TrialState.COMPLETE])
        keep_reference(study)
        if observer is not None:
            observer.finished(study, trial)


def _queue_baselines(study: Study, objective: Objective) -> None:
    there = {t.user_attrs.get(BASELINE) for t in study.get_trials(deepcopy=False)}
    for name in objective.baselines:
        if name not in there:
            study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={BASELINE: name}))


def _run_one(study: Study, objective: Objective, *, alone: bool) -> FrozenTrial:
    """Runs one trial to its end; `alone` says that no trial has succeeded yet."""
    trial = study.ask()
    try:
        values = objective(trial)
    except TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    except KeyboardInterrupt:
        _lose(study, trial)
        raise
    except Exception as error:
        frozen = study.tell(trial, state=TrialState.FAIL)
        if alone:
            raise
        log.warning("trial %d failed: %s: %s", trial.number, type(error).__name__, error)
        return frozen
    if any(math.isnan(value) for value in values):
        return study.tell(trial, state=TrialState.FAIL)
    return study.tell(trial, list(values))


def _lose(study: Study, trial: Trial) -> None:
    trial.set_user_attr(LOST, INTERRUPTED)
    study.tell(trial, state=TrialState.FAIL)


def _why_infeasible(trials: list[FrozenTrial], wanted: int, cap: int) -> str:
    complete = sum(t.state == TrialState.COMPLETE for t in trials)
    lines = [
        f"{cap} trials were pruned or failed and {complete} of {wanted} are COMPLETE, so the run "
        "stops here; what was measured is kept."
    ]
    excesses: dict[str, list[float]] = {}
    for trial in trials:
        for name, excess in trial.constraints.items():
            if excess > 0:
                excesses.setdefault(name, []).append(excess)
    for name, broken in excesses.items():
        lines.append(
            f"The bound on {name} was broken {len(broken)} times, at best by {min(broken):.4g}."
        )
    failures = Counter(
        t.user_attrs.get(FAILURE) for t in trials if t.state == TrialState.FAIL
    ).most_common(1)
    if failures:
        lines.append(f"The most frequent failure ({failures[0][1]} times): {failures[0][0]}.")
    lines.append("Loosen the bounds, or change the search space.")
    return " ".join(lines)
