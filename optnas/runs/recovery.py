"""The recovery of lost trials: ends the trials of dead processes, and queues retries.

A trial is lost if its process is gone, or was interrupted. The retry is queued with the parameters
drawn so far. It has the lost trial's place in the sequence (`optnas.study.trial_order`), so the
other parameters are drawn and seeded as the lost trial's would have been. `Tally.recover` decides
which trials are recovered.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from optnas.study.attributes import (
    BASELINE,
    FAILURE,
    IN_SPACE,
    INTERRUPTED,
    KILLED,
    LOST,
    RETRY_OF,
    SURPLUS,
    retry_of,
)
from optnas.study.leases import holders

MAX_KILLS = 3
"""A trial whose process died this many times in a row fails: the trial may be the cause."""
_KILLER = (
    f"its process was killed {MAX_KILLS} times in a row while the trial ran: it may need more "
    "memory than there is"
)


def give_up(study: Study, trial: FrozenTrial) -> None:
    """Ends a trial whose process is gone: as lost, or as failed if the trial may be the cause.

    If the trial holds a reason already, its process was killed while it ended the trial, and the
    reason stays.
    """
    storage = study._storage
    # Read now: what was read of a running trial before may stand for some seconds.
    ending = storage.get_trial(trial._trial_id).user_attrs.keys() & {FAILURE, LOST, SURPLUS}
    with suppress(UpdateFinishedTrialError):  # another process was quicker
        if not ending:
            key, reason = LOST, KILLED
            if _kills(study, trial) >= MAX_KILLS - 1:
                key, reason = FAILURE, _KILLER
            storage.set_trial_user_attr(trial._trial_id, key, reason)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def give_up_all(study: Study, workers: Collection[str]) -> None:
    """Ends the running trials of workers of which none runs any more.

    Where another machine is known to be gone, nobody has to wait for the leases to expire.

    Args:
        study: The study.
        workers: Their ids (see `Job.worker`).
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        held = holders(trial)
        if held and all(lease.get("worker") in workers for lease in held):
            give_up(study, trial)


def _kills(study: Study, trial: FrozenTrial) -> int:
    """How many killed trials in a row this one repeats."""
    kills, trials = 0, study.get_trials(deepcopy=False)
    while (of := retry_of(trial)) is not None:
        trial = trials[of]
        if trial.user_attrs.get(LOST) != KILLED:
            break
        kills += 1
    return kills


def lose(study: Study, trial: Trial) -> None:
    """Marks a running trial of this process as lost and queues its retry; not if it has ended."""
    with suppress(UpdateFinishedTrialError, ValueError):
        trial.set_user_attr(LOST, INTERRUPTED)
        queue_retry(study, study.tell(trial, state=TrialState.FAIL))


def queue_retry(study: Study, trial: FrozenTrial) -> None:
    """Queues a trial that repeats a lost one."""
    baseline = {k: v for k, v in trial.user_attrs.items() if k in (BASELINE, IN_SPACE)}
    fixed = trial.system_attrs.get("fixed_params", {})  # it may have drawn none of them yet
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            user_attrs={RETRY_OF: trial.number} | baseline,
            system_attrs={"fixed_params": {**fixed, **trial.params}},
        )
    )
