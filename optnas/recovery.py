"""Trials whose process is gone: found, marked lost, and taken up again.

A running trial holds a lease: host, process id and start time of the process. When a run begins,
the trials whose process on this host is dead are marked lost, and each lost trial is repeated
once more: the retry is queued with the parameters drawn so far, and has the place of the trial
it repeats, so the rest of it is drawn, and seeded, as it would have been.
"""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Mapping
from typing import Any

import psutil
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from optnas.trials import BASELINE, LEASE, LOST, RETRY_OF, is_lost

KILLED, INTERRUPTED = "killed", "interrupted"
MAX_KILLS = 3
"""A trial whose process died this many times in a row is not tried again: it may be why."""
GRACE = datetime.timedelta(minutes=1)
"""A running trial of this age has a lease, or died before it could take one."""


def lease() -> dict[str, Any]:
    """This process, so that others can tell whether it still lives."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }


def is_dead(lease: Mapping[str, Any]) -> bool:
    """Whether the process of a lease is known to be gone; always False for other hosts."""
    if lease["host"] != socket.gethostname():
        return False
    try:
        started: float = psutil.Process(lease["pid"]).create_time()
    except psutil.NoSuchProcess:
        return True
    # Another process may have been given the same id since.
    return bool(abs(started - lease["started"]) > 1.0)


def runs_here(trial: FrozenTrial) -> bool:
    """Whether the trial is being run by a living process of this host.

    Nothing is known of the processes of other hosts.
    """
    held = trial.user_attrs.get(LEASE)
    return (
        trial.state == TrialState.RUNNING
        and held is not None
        and held["host"] == socket.gethostname()
        and not is_dead(held)
    )


def recover(study: Study) -> list[int]:
    """Marks dead trials lost and queues a retry for each lost one that has none.

    Safe to call at any time, and again after a crash in the middle of it.

    Returns:
        The numbers of the lost trials that were queued again.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _abandoned(trial):
            storage = study._storage
            storage.set_trial_user_attr(trial._trial_id, LOST, KILLED)
            study.tell(trial.number, state=TrialState.FAIL)
    trials = study.get_trials(deepcopy=False)
    repeated = {t.user_attrs[RETRY_OF] for t in trials if RETRY_OF in t.user_attrs}
    queued = []
    for trial in trials:
        if not is_lost(trial) or trial.number in repeated or _kills(trial, trials) >= MAX_KILLS:
            continue
        study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                user_attrs={RETRY_OF: trial.number}
                | {k: v for k, v in trial.user_attrs.items() if k == BASELINE},
                system_attrs={"fixed_params": trial.params},
            )
        )
        queued.append(trial.number)
    return queued


def _abandoned(trial: FrozenTrial) -> bool:
    if LEASE in trial.user_attrs:
        return is_dead(trial.user_attrs[LEASE])
    assert trial.datetime_start is not None
    return datetime.datetime.now() - trial.datetime_start > GRACE


def _kills(trial: FrozenTrial, trials: list[FrozenTrial]) -> int:
    """How often in a row the trial, and those it repeats, were killed."""
    kills = 0
    while trial.user_attrs.get(LOST) == KILLED:
        kills += 1
        if RETRY_OF not in trial.user_attrs:
            break
        trial = trials[trial.user_attrs[RETRY_OF]]
    return kills
