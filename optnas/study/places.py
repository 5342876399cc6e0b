"""The place of a trial in its study's sequence, and the seeds drawn from it."""

from __future__ import annotations

import bisect
import hashlib
import secrets
from collections.abc import Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.study.attributes import SEED, retry_of


class Places:
    """The places of a study's trials in its sequence, read as the trials are made.

    A retry has the place of the trial it repeats; any other trial has its number minus the
    retries numbered before it. So a trial that was lost and repeated leaves no trace in the
    sequence: what is seeded by the place is as if the trial had never been lost.
    """

    def __init__(self) -> None:
        self._read = 0
        self._retries: list[int] = []
        self._repeated: dict[int, int] = {}

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Reads the new ones among all trials of the study, in the order of their numbers."""
        for trial in trials[self._read :]:
            of = retry_of(trial)
            if of is not None:
                self._retries.append(trial.number)
                self._repeated[trial.number] = of
        self._read = len(trials)

    def of(self, trial: FrozenTrial) -> int:
        """The place of a trial."""
        number = trial.number
        while number in self._repeated:
            number = self._repeated[number]
        return number - bisect.bisect_left(self._retries, number)


def place(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """The place of a trial among all trials of its study, in the order of their numbers."""
    places = Places()
    places.read(trials)
    return places.of(trial)


def origin(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """The number of the trial that a retry, or a retry of a retry, repeats; else its own."""
    while (of := retry_of(trial)) is not None:
        trial = trials[of]
    return trial.number


def derived_seed(seed: int, place: int, purpose: str) -> int:
    """A seed for one purpose at one place of a study: independent, reproducible, below 2^32."""
    digest = hashlib.sha256(f"{seed}/{place}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def study_seed(study: Study, given: int | None = None) -> int:
    """The seed of a study: the one it keeps, else the given one, else one drawn now and kept.

    Raises:
        InputError: The study keeps another seed than the given one.
    """
    stored = study.user_attrs.get(SEED)
    if type(stored) is not int:
        stored = secrets.randbelow(2**31) if given is None else given
        study.set_user_attr(SEED, stored)
    elif given is not None and stored != given:
        raise InputError(
            f"study {study.study_name!r} has seed {stored}, and {given} was given: a study keeps "
            "its seed; leave it out, or start another study"
        )
    return stored
