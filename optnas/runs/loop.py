"""The loop of a worker: it runs trials until enough trials of the study count."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from optuna import TrialPruned
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from optnas.errors import InputError, TrialTimeout
from optnas.pareto.growth import is_flat
from optnas.pareto.reference_box import keep_box
from optnas.runs.failing import check_success
from optnas.runs.observer import Observer
from optnas.runs.stop import Stop
from optnas.runs.tally import Tally
from optnas.runs.time_limit import time_limit
from optnas.storage.faults import storage_fault
from optnas.storage.place import place_of
from optnas.study.attributes import BASELINE, FAILURE, IN_SPACE, is_without_result
from optnas.study.leases import Renewal, lease

POLL = 0.5
"""Seconds between two looks at trials that other processes are running."""
UNPROVEN = (
    "No network of this study has succeeded yet, so this is taken for a fault of the code, and the "
    "run ends. If this network alone is at fault, run again: another one is tried."
)
"""What is added to an error of the user's code then."""

Values = Sequence[float]


def run_trials(
    study: Study,
    objective: Callable[[Trial], Values],
    *,
    trials: int,
    hours: float | None = None,
    until_flat: int = 0,
    baselines: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    trial_timeout: float | None = None,
    max_failures: int = 3,
    observer: Observer | None = None,
    stop: Stop | None = None,
    worker: str = "",
    callbacks: Sequence[Callable[[Study, FrozenTrial], None]] = (),
) -> None:
    """Runs trials until exactly `trials` trials of the study count, or another limit is reached.

    COMPLETE trials count, and those that were stopped early: their networks were trained, too.

    Any number of workers may do so at once, on one storage. Lost trials (their process was killed
    or interrupted) are repeated first; baselines that the study doesn't have yet come next. A
    worker takes a trial only while fewer than `trials` count or run. If other workers were quicker,
    the worker ends its trial before anything is suggested. At the end a worker waits for the
    trials of the others, which may fail or die, or improve a study that was flat. Trials that a
    bound ended don't count, nor do failed ones: after `10 · trials + 100` of them this call raises
    InputError. Lost ones don't count either.

    Args:
        study: The study, with its sampler.
        objective: The objective, as `study.optimize` takes it.
        trials: The number of trials that count to reach.
        hours: Hours for this call; a trial that is running when they are over is finished.
        until_flat: The call returns once the last trials that count, this many, added less than
            1 % (see `is_flat`), and none is running or queued. 0 sets no limit.
        baselines: The baselines that the objective knows, by name: the parameters of those that
            are architectures of the space, and nothing for the others.
        trial_timeout: Seconds after which a trial fails.
        max_failures: The run ends after this number of failures in a row for one reason, unless
            networks like theirs were known to fail for it.
        observer: Told of every trial that begins and ends.
        stop: When it is requested, the running trial is finished and the call returns.
        worker: The worker's id, which its leases hold; by default a new one.
        callbacks: Called with the study and each trial that has ended, as by `study.optimize`.

    Raises:
        InputError: Too many trials were pruned or failed; the message names the bounds that they
            broke, or the reason.
        KeyboardInterrupt: Before it is raised, the running trial is marked lost and queued again.
        Exception: What the objective raised, if no sampled network has succeeded yet: then the
            code is presumed wrong, and not one architecture. An InputError and a fault of the
            storage are always raised.
    """
    observer = observer or Observer()
    deadline = math.inf if hours is None else time.monotonic() + 3600 * hours
    own = lease(place_of(study._storage)) | {"worker": worker or uuid.uuid4().hex}
    tally = Tally(study, own, trials)
    _recover(tally, observer)
    queue_baselines(study, baselines)
    waited = kept = flat = False
    looked = -1
    with Renewal(study._storage, own) as renewal:
        while time.monotonic() < deadline and not (stop is not None and stop.requested):
            tally.read()
            _recover(tally, observer)
            if tally.counted >= trials:
                break
            check_success(study, tally, trials, max_failures)
            if looked != tally.counted:
                looked, flat = tally.counted, is_flat(study, until_flat)
            alive = tally.alive()
            ending = flat and not tally.waiting  # queued and lost trials are run first
            if ending and not alive:
                break
            if ending or tally.counted + len(alive) >= trials:
                if not waited:
                    observer.waiting(alive)
                waited = True
                time.sleep(POLL)
                continue
            waited = False
            ended = None
            with tally.taken(renewal) as trial:
                if trial is not None:
                    observer.began(trial.number)
                    ended = _run_one(study, objective, trial, tally, trial_timeout)
            if ended is not None:
                kept = kept or keep_box(study)
                observer.finished(study, ended)
                for callback in callbacks:
                    callback(study, ended)


def _recover(tally: Tally, observer: Observer) -> None:
    if queued := tally.recover():
        observer.recovered(queued)


def queue_baselines(study: Study, baselines: Mapping[str, Mapping[str, Any]]) -> None:
    """Queues a trial for each baseline that the study doesn't have yet.

    Args:
        study: The study.
        baselines: The parameters of each baseline by name; empty for one outside of the space.
    """
    there = [t.user_attrs.get(BASELINE) for t in study.get_trials(deepcopy=False)]
    for name, params in baselines.items():
        if name in there:
            continue
        study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                user_attrs={BASELINE: name} | ({IN_SPACE: True} if params else {}),
                system_attrs={"fixed_params": dict(params)} if params else {},
            )
        )


def _run_one(
    study: Study,
    objective: Callable[[Trial], Values],
    trial: Trial,
    tally: Tally,
    trial_timeout: float | None,
) -> FrozenTrial:
    """Runs one trial to its end; until a network has succeeded, raises what the code raised."""
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
            raise
        ended = _fail(study, trial, f"{type(error).__name__}: {error}")
        tally.read()  # a trial of another worker may have succeeded
        if isinstance(error, InputError):
            raise
        if not tally.proven:
            error.add_note(UNPROVEN)
            raise
        return ended
    if any(math.isnan(value) for value in values):
        return _fail(study, trial, "an objective is NaN")
    return _tell(study, trial, list(values))


def _fail(study: Study, trial: Trial, reason: str) -> FrozenTrial:
    if FAILURE not in trial.user_attrs:  # the objective may have stored a better reason
        trial.set_user_attr(FAILURE, reason)
    return _tell(study, trial, state=TrialState.FAIL)


def _tell(
    study: Study, trial: Trial, values: list[float] | None = None, state: TrialState | None = None
) -> FrozenTrial:
    """Raises UpdateFinishedTrialError if another worker has ended the trial without a result."""
    ended = study.tell(trial, values, state, skip_if_finished=True)
    if is_without_result(ended):
        raise UpdateFinishedTrialError
    return ended
