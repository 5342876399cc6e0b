"""Trials whose process is gone: found, marked lost, and taken up again.

A lost trial is repeated: the retry is queued with the parameters drawn so far, and has the place of
the trial it repeats, so the rest of it is drawn, and seeded, as it would have been. Several workers
may recover one study at once: if two queue a retry of the same trial, the first one counts, and
the other ends itself.
"""

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

from optnas.runs.tally import Tally
from optnas.storage.guard import Private
from optnas.study.attributes import (
    BASELINE,
    FAILURE,
    KILLED,
    LEASE,
    LOST,
    RETRY_OF,
    SURPLUS,
    retry_of,
)
from optnas.study.leases import age, is_abandoned, is_dead, lease_of

MAX_KILLS = 3
"""A trial whose process died this many times in a row fails: it may be why."""
_KILLER = (
    f"its process was killed {MAX_KILLS} times in a row while the trial ran: it may need more "
    "memory than there is"
)
ASK = Private(
    {
        "optuna.study.study:Study.ask": "3d1c91ccf4027e20",
        "optuna.trial._trial:Trial.__init__": "640b6615a4b5aeee",
    },
    "trials get their lease a moment after they begin, and one whose process is killed in that "
    "moment is repeated a day later",
)
"""What `take_trial` replaces."""
ORPHANED = 10.0
"""Seconds that a worker may need to write its lease on a trial that it has taken."""


def recover(
    study: Study,
    tally: Tally | None = None,
    own: Mapping[str, Any] | None = None,
    wanted: int | None = None,
) -> list[int]:
    """Ends the trials of dead processes, and queues a retry for each lost one that has none.

    Safe to call at any time, by any number of workers, and again after a crash in the middle.

    Args:
        study: The study.
        tally: Where the study stands, as it was read just now.
        own: The lease of a worker that runs nothing now: a trial that still holds it after a
            while is dead. Who took it was killed before it could write its own (see `take_trial`).
        wanted: Trials that the study is to have: of those lost, no more are queued than it needs.

    Returns:
        The numbers of the lost trials that were queued again.
    """
    if tally is None:
        tally = Tally()
        tally.read(study.get_trials(deepcopy=False))
    ended = False
    for trial in tally.running:
        mine = own is not None and _same(lease_of(trial), own)
        if (mine and age(trial) > ORPHANED) or is_abandoned(trial):
            give_up(study, trial)
            ended = True
    if ended:
        tally.read(study.get_trials(deepcopy=False))
    queued = tally.lost()
    if wanted is not None:
        there = tally.counted + len(tally.alive()) + len(tally.waiting)
        queued = queued[: max(wanted - there, 0)]
    for trial in queued:
        queue_again(study, trial)
    if queued:
        tally.read(study.get_trials(deepcopy=False))
    return [trial.number for trial in queued]


def queue_again(study: Study, trial: FrozenTrial) -> None:
    """Queues a retry of a lost trial."""
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            user_attrs={RETRY_OF: trial.number}
            | {k: v for k, v in trial.user_attrs.items() if k == BASELINE},
            system_attrs={"fixed_params": trial.params},
        )
    )


def give_up(study: Study, trial: FrozenTrial) -> None:
    """Ends a trial whose process is gone, as lost; as failed if it may be to blame.

    One that had given its reason already was killed in the act of ending, and keeps that reason.
    """
    ending = trial.user_attrs.keys() & {FAILURE, LOST, SURPLUS}
    storage = study._storage
    with suppress(UpdateFinishedTrialError):  # somebody else did
        if not ending:
            key, reason = LOST, KILLED
            if _kills(study, trial) >= MAX_KILLS - 1:
                key, reason = FAILURE, _KILLER
            storage.set_trial_user_attr(trial._trial_id, key, reason)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def end_surplus(study: Study, trial: Trial, reason: str) -> None:
    """Ends a trial before anything was suggested."""
    trial.set_user_attr(SURPLUS, reason)
    study.tell(trial, state=TrialState.FAIL)


def _kills(study: Study, trial: FrozenTrial) -> int:
    """How many trials in a row that this one repeats were killed."""
    kills, trials = 0, study.get_trials(deepcopy=False)
    while (of := retry_of(trial)) is not None:
        trial = trials[of]
        if trial.user_attrs.get(LOST) != KILLED:
            break
        kills += 1
    return kills


def take_trial(study: Study, lease: Mapping[str, Any], waiting: Iterable[FrozenTrial]) -> Trial:
    """`study.ask()`, but the trial holds the lease from the start.

    There is no moment at which a kill would leave a trial that runs for ever: a new trial is made
    with its lease; a waiting one is given it before it is set running, and should two workers have
    done so, whoever took it writes it again. What another worker is about to take comes last.

    Args:
        study: The study.
        lease: The worker's lease.
        waiting: The WAITING trials, as they were read just now.
    """
    if not ASK.is_known():
        trial = study.ask()
        trial.set_user_attr(LEASE, dict(lease))
        return trial
    storage = study._storage
    study._thread_local.cached_all_trials = None  # as ask() does: what is cached is one trial's
    for queued in sorted(waiting, key=lambda t: _claimed(t, lease)):
        with suppress(UpdateFinishedTrialError):
            storage.set_trial_user_attr(queued._trial_id, LEASE, dict(lease))
            if storage.set_trial_state_values(queued._trial_id, TrialState.RUNNING):
                taken = optuna.Trial(study, queued._trial_id)
                if not _same(taken.user_attrs.get(LEASE), lease):
                    taken.set_user_attr(LEASE, dict(lease))
                return taken
    template = copy.copy(_EMPTY)
    template.user_attrs = {LEASE: dict(lease)}
    template.datetime_start = datetime.datetime.now()
    return optuna.Trial(study, storage.create_new_trial(study._study_id, template))


_EMPTY = create_trial(state=TrialState.RUNNING)


def _claimed(trial: FrozenTrial, lease: Mapping[str, Any]) -> bool:
    """Whether a living worker has written its lease on a waiting trial."""
    held = lease_of(trial)
    return held is not None and not _same(held, lease) and not is_dead(held)


def _same(found: Mapping[str, Any] | None, lease: Mapping[str, Any]) -> bool:
    return found is not None and all(
        found.get(key) == value for key, value in lease.items() if key != "renewed"
    )
