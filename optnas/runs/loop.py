"""The loop of a worker: it runs trials until the study has enough that count."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from optuna import TrialPruned
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from optnas.errors import InputError, TrialTimeout
from optnas.pareto.hypervolume import keep_reference
from optnas.runs.recovery import end_surplus, queue_again, recover, take_trial
from optnas.runs.stop import Stop
from optnas.runs.tally import Tally
from optnas.runs.time_limit import time_limit
from optnas.storage.faults import storage_fault
from optnas.study.attributes import (
    BASELINE,
    FAILURE,
    INTERRUPTED,
    LOST,
    RETRY_OF,
    is_counted,
    is_void,
)
from optnas.study.leases import Renewal, is_alive, lease
from optnas.utils.text import number

POLL = 0.5
"""Seconds between two looks at trials that others are running."""

Values = Sequence[float]

log = logging.getLogger("optnas")


class Observer(Protocol):
    """What is told of a run while it goes on."""

    def recovered(self, numbers: list[int]) -> None:
        """These lost trials were queued again."""

    def waiting(self, numbers: list[int]) -> None:
        """Nothing is left to do but to wait for these trials, which others are running."""

    def began(self, number: int) -> None:
        """A trial has begun."""

    def epoch(self, number: int, step: int, scores: Mapping[str, float]) -> None:
        """A trial has reported the scores of an epoch."""

    def finished(self, study: Study, trial: FrozenTrial) -> None:
        """A trial has ended, in whichever state."""


def run_trials(
    study: Study,
    objective: Callable[[Trial], Values],
    *,
    trials: int,
    hours: float | None = None,
    baselines: Iterable[str] = (),
    trial_timeout: float | None = None,
    max_failures: int = 3,
    observer: Observer | None = None,
    stop: Stop | None = None,
) -> None:
    """Runs trials until exactly `trials` of the study count, or the time is up.

    COMPLETE trials count, and those that were stopped early: their networks were trained, too.

    Any number of workers may do so at once, on one storage. Trials that were lost (their process
    was killed or interrupted) are taken up again first; baselines that the study doesn't have yet
    come next. A worker asks only while trials that count, run or wait are fewer than `trials`; if
    others were quicker, its trial ends itself before anything is suggested. At the end it waits for
    what others run: they may fail, or die. Trials that a bound ended, failed and lost ones don't
    count, and this call may see `10 · trials + 100` of the first two.

    Args:
        study: The study, with its sampler.
        objective: The objective, as `study.optimize` takes it.
        trials: The total to reach of trials that count.
        hours: Time for this call; the trial that is running then is finished.
        baselines: Names of baselines that the objective knows.
        trial_timeout: Seconds after which a trial fails.
        max_failures: The run ends when so many trials in a row fail for one reason.
        observer: Told of every trial that begins and ends.
        stop: When it is requested, the running trial is finished and the call returns.

    Raises:
        InputError: Too many trials were pruned or failed; says which bounds they broke, or why.
        KeyboardInterrupt: The running trial is marked lost and queued again first.
        Exception: What the objective raised, if no sampled network has succeeded yet: the code
            is wrong, not an architecture.
    """
    deadline = math.inf if hours is None else time.monotonic() + 3600 * hours
    cap = 10 * trials + 100
    own = lease() | {"worker": uuid.uuid4().hex}
    tally = Tally()
    tally.read(study.get_trials(deepcopy=False))
    _recover(study, tally, own, trials, observer)
    queue_baselines(study, baselines)
    waited = kept = False
    with Renewal(study._storage, own) as renewal:
        while time.monotonic() < deadline and not (stop is not None and stop.requested):
            tally.read(study.get_trials(deepcopy=False))
            _recover(study, tally, own, trials, observer)
            if tally.counted >= trials:
                break
            if len(tally.unsuccessful) >= cap:
                raise InputError(_why_infeasible(tally.unsuccessful, tally.counted, trials))
            _stop_if_failing(tally, max_failures)
            alive = tally.alive()
            if tally.counted + len(alive) >= trials:
                if observer is not None and not waited:
                    observer.waiting(alive)
                waited = True
                time.sleep(POLL)
                continue
            waited = False
            trial = take_trial(study, own, tally.waiting)
            renewal.trial_id = trial._trial_id
            try:
                reason = _surplus(study, trial, tally, trials)
                if reason is not None:
                    end_surplus(study, trial, reason)
                    continue
                if observer is not None:
                    observer.began(trial.number)
                ended = _run_one(study, objective, trial, tally, trial_timeout)
            except KeyboardInterrupt:
                _lose(study, trial)
                raise
            except UpdateFinishedTrialError:
                log.warning(
                    "trial %d was taken for dead, and is repeated: its result came too late",
                    trial.number,
                )
                continue
            finally:
                renewal.trial_id = None
            kept = kept or keep_reference(study)
            if observer is not None:
                observer.finished(study, ended)


def queue_baselines(study: Study, names: Iterable[str]) -> None:
    """Queues a trial for each baseline that the study doesn't have yet."""
    there = [t.user_attrs.get(BASELINE) for t in study.get_trials(deepcopy=False)]
    for name in names:
        if name not in there:
            study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={BASELINE: name}))


def _recover(
    study: Study, tally: Tally, own: Mapping[str, Any], wanted: int, observer: Observer | None
) -> None:
    queued = recover(study, tally, own, wanted)
    if queued and observer is not None:
        observer.recovered(queued)


def _surplus(study: Study, trial: Trial, tally: Tally, wanted: int) -> str | None:
    """Why a trial that was just taken isn't needed, if it isn't.

    Several workers may have asked at once for the last one, or queued a retry of the same trial.
    Trials are numbered in the order they are made, so of all that look, enough stay. A new one
    needn't look if its number, less the trials that came to nothing, is below `wanted`.
    """
    if trial.number >= tally.seen and trial.number - tally.not_counted < wanted:
        return None
    every = study.get_trials(deepcopy=False)
    tally.read(every)
    this = every[trial.number]
    if not tally.is_first_retry(this):
        return f"trial {this.user_attrs[RETRY_OF]} is repeated by an earlier one already"
    before = sum(
        is_counted(t) or t.state == TrialState.WAITING or is_alive(t) for t in every[: trial.number]
    )
    return f"{wanted} trials before it are enough" if before >= wanted else None


def _run_one(
    study: Study,
    objective: Callable[[Trial], Values],
    trial: Trial,
    tally: Tally,
    trial_timeout: float | None,
) -> FrozenTrial:
    """Runs one trial to its end; raises what the code raised until a network has succeeded."""
    try:
        with time_limit(trial_timeout):
            values = objective(trial)
    except TrialPruned:
        return _tell(study, trial, state=TrialState.PRUNED)
    except TrialTimeout as timeout:
        return _fail(study, trial, str(timeout))
    except UpdateFinishedTrialError:
        raise
    except Exception as error:
        if storage_fault(error):
            with suppress(Exception):
                _lose(study, trial)
            raise
        ended = _fail(study, trial, f"{type(error).__name__}: {error}")
        tally.read(study.get_trials(deepcopy=False))  # another worker's may have succeeded
        if not tally.proven or isinstance(error, InputError):
            raise
        return ended
    if any(math.isnan(value) for value in values):
        return _fail(study, trial, "an objective is NaN")
    return _tell(study, trial, list(values))


def _fail(study: Study, trial: Trial, reason: str) -> FrozenTrial:
    if FAILURE not in trial.user_attrs:  # the objective may know better
        trial.set_user_attr(FAILURE, reason)
    return _tell(study, trial, state=TrialState.FAIL)


def _tell(
    study: Study, trial: Trial, values: list[float] | None = None, state: TrialState | None = None
) -> FrozenTrial:
    """Raises UpdateFinishedTrialError where another worker has ended the trial meanwhile."""
    ended = study.tell(trial, values, state, skip_if_finished=True)
    if is_void(ended):
        raise UpdateFinishedTrialError
    return ended


def _lose(study: Study, trial: Trial) -> None:
    """Marks a trial lost and queues it again, unless it had ended."""
    with suppress(UpdateFinishedTrialError, ValueError):
        trial.set_user_attr(LOST, INTERRUPTED)
        queue_again(study, study.tell(trial, state=TrialState.FAIL))


def _stop_if_failing(tally: Tally, most: int) -> None:
    """Raises InputError if the last trials all failed for one reason: one more is no accident."""
    if tally.same_failures() >= most:
        raise InputError(
            f"the last {most} trials failed alike, so it stops here; what was measured is kept. "
            f"The last one: {tally.last_failure.rstrip('.')}. Mend the cause and run it again, or "
            "give a larger max_failures (--max-failures) if many of these networks must fail"
        )


def _why_infeasible(unsuccessful: list[FrozenTrial], counted: int, wanted: int) -> str:
    lines = [
        f"{len(unsuccessful)} trials of this run were pruned or failed and {counted} of {wanted} "
        "are done, so it stops here; what was measured is kept."
    ]
    broken: dict[str, list[tuple[float, float]]] = {}
    for trial in unsuccessful:
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
        str(t.user_attrs.get(FAILURE, "no reason given"))
        for t in unsuccessful
        if t.state == TrialState.FAIL
    )
    for reason, times in reasons.most_common(1):
        lines.append(f"The most frequent failure ({times} times): {reason.rstrip('.')}.")
    if 2 * reasons.total() >= len(unsuccessful):
        lines.append("Mend the cause, then run it again.")
    else:
        lines.append("Loosen the bounds.")
    return " ".join(lines)
