"""The loop that runs trials until there are enough COMPLETE ones."""

from __future__ import annotations

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
from optnas.text import number
from optnas.trials import BASELINE, FAILURE, LOST, is_lost

SAME_FAILURES = 3
"""After this many trials that failed alike, the next error in the code ends the run."""


IN_VAIN = (TrialState.PRUNED, TrialState.FAIL)
"""How a trial ends without values."""


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
    count, and this call may see `10 · trials + 100` pruned and failed ones.

    Args:
        study: The study, with its sampler.
        objective: The objective.
        trials: The total of COMPLETE trials to reach.
        hours: Time for this call; the trial that is running then is finished.
        observer: Told of every trial that ends.

    Raises:
        InputError: Too many trials were pruned or failed; says which bounds they broke.
        KeyboardInterrupt: The running trial is marked lost first.
        Exception: What the objective raised, if no sampled network has succeeded yet: the code
            is wrong, not an architecture. Later the trial fails and the run goes on, unless the
            last 3 trials had failed alike.
    """
    deadline = math.inf if hours is None else time.monotonic() + 3600 * hours
    queued = recover(study)
    if observer is not None and queued:
        observer.recovered(queued)
    _queue_baselines(study, objective)
    cap, first = 10 * trials + 100, len(study.get_trials(deepcopy=False))
    while time.monotonic() < deadline:
        ended = [t for t in study.get_trials(deepcopy=False) if not is_lost(t)]
        count = Counter(t.state for t in ended)
        if count[TrialState.COMPLETE] >= trials:
            break
        in_vain = [t for t in ended if t.number >= first and t.state in IN_VAIN]
        if len(in_vain) >= cap:
            raise InputError(_why_infeasible(in_vain, count[TrialState.COMPLETE], trials))
        promised = count[TrialState.COMPLETE] + sum(map(runs_here, ended))
        if promised >= trials and not count[TrialState.WAITING]:
            break  # other processes of this machine are running the rest
        proven = any(t.state == TrialState.COMPLETE and BASELINE not in t.user_attrs for t in ended)
        trial = _run_one(study, objective, fatal=not proven or _same_failure_again(ended))
        keep_reference(study)
        if observer is not None:
            observer.finished(study, trial)


def _queue_baselines(study: Study, objective: Objective) -> None:
    there = {t.user_attrs.get(BASELINE) for t in study.get_trials(deepcopy=False)}
    for name in objective.baselines:
        if name not in there:
            study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={BASELINE: name}))


def _same_failure_again(trials: list[FrozenTrial]) -> bool:
    """Whether the last trials all failed for one reason, so that one more is no accident."""
    last = [t.user_attrs.get(FAILURE) for t in trials if t.state.is_finished()][-SAME_FAILURES:]
    return len(last) == SAME_FAILURES and last[0] is not None and len(set(last)) == 1


def _run_one(study: Study, objective: Objective, *, fatal: bool) -> FrozenTrial:
    """Runs one trial to its end; `fatal` says whether an error in the code ends the run."""
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
        if fatal or isinstance(error, InputError):
            raise
        return frozen
    if any(math.isnan(value) for value in values):
        return study.tell(trial, state=TrialState.FAIL)
    return study.tell(trial, list(values))


def _lose(study: Study, trial: Trial) -> None:
    trial.set_user_attr(LOST, INTERRUPTED)
    study.tell(trial, state=TrialState.FAIL)


def _why_infeasible(in_vain: list[FrozenTrial], complete: int, wanted: int) -> str:
    lines = [
        f"{len(in_vain)} trials of this run were pruned or failed and {complete} of {wanted} are "
        "COMPLETE, so it stops here; what was measured is kept."
    ]
    broken: dict[str, list[tuple[float, float]]] = {}
    for trial in in_vain:
        for name, excess in trial.constraints.items():
            if excess > 0:
                value = trial.user_attrs.get(name, math.nan)
                broken.setdefault(name, []).append((excess, value))
    for name, found in broken.items():
        lines.append(
            f"The bound on {name} was broken {len(found)} times; the nearest was "
            f"{number(min(found)[1])}, which is off by {min(found)[0]:.4g}."
        )
    reasons = Counter(
        t.user_attrs.get(FAILURE, "no reason given") for t in in_vain if t.state == TrialState.FAIL
    )
    for reason, times in reasons.most_common(1):
        lines.append(f"The most frequent failure ({times} times): {reason.rstrip('.')}.")
    if 2 * reasons.total() >= len(in_vain):
        lines.append("Mend the cause, then run it again.")
    else:
        lines.append("Loosen the bounds.")
    return " ".join(lines)
