"""The seed of a study, and the seeds drawn from it."""

from __future__ import annotations

import hashlib
import secrets

from optuna.study import Study

from optnas.errors import InputError
from optnas.study.attributes import SEED


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
