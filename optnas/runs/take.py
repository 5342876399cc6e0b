"""Takes the next trial of a study, with a lease on it from the start."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from optnas.storage.guard import Private
from optnas.study.attributes import LEASE
from optnas.study.leases import CLAIM, claims_of, is_dead, same_worker

ASK = Private(
    {
        "optuna.study.study:Study.ask": "3d1c91ccf4027e20",
        "optuna.trial._trial:Trial.__init__": "640b6615a4b5aeee",
    },
    "trials get their lease a moment after they begin, and a trial whose process is killed in that "
    "moment is repeated only a day later",
)
"""The private functions of Optuna that `take_trial` replaces."""


def take_trial(study: Study, lease: Mapping[str, Any], waiting: Iterable[FrozenTrial]) -> Trial:
    """`study.ask()`, but the trial holds the lease from the start.

    So other workers can tell that the trial is lost, at whatever moment its worker is killed. A new
    trial is made with its lease. On a waiting trial the worker first writes a claim, then sets the
    trial to RUNNING, and then writes its lease. Of several workers that claim one trial, the
    storage lets only one set it to RUNNING; the others withdraw their claims. None of them writes
    where another one does, so each may be late, or be killed, at any moment. Waiting trials that
    another worker is about to take are tried last.

    Args:
        study: The study.
        lease: The worker's lease.
        waiting: The WAITING trials, as they were read just now.
    """
    if not ASK.is_known():
        asked = study.ask()
        asked.set_user_attr(LEASE, dict(lease))
        return asked
    storage = study._storage
    study._thread_local.cached_all_trials = None  # as ask() does: the cache is for one trial alone
    claim = f"{CLAIM}{lease.get('worker') or lease['pid']}"
    for trial in sorted(waiting, key=lambda t: _is_claimed(t, lease)):
        with suppress(UpdateFinishedTrialError):
            storage.set_trial_system_attr(trial._trial_id, claim, dict(lease))
            if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                storage.set_trial_user_attr(trial._trial_id, LEASE, dict(lease))
                return optuna.Trial(study, trial._trial_id)
            storage.set_trial_system_attr(trial._trial_id, claim, {})
    template = copy.copy(_EMPTY)
    template.user_attrs = {LEASE: dict(lease)}
    template.datetime_start = datetime.datetime.now()
    return optuna.Trial(study, storage.create_new_trial(study._study_id, template))


_EMPTY = create_trial(state=TrialState.RUNNING)


def _is_claimed(trial: FrozenTrial, lease: Mapping[str, Any]) -> bool:
    """Whether another living worker is about to take a waiting trial."""
    return any(
        not same_worker(held, lease) and not is_dead(held, lease.get("place", ""))
        for held in claims_of(trial)
    )
