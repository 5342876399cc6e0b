"""Parameters that somebody else gives to a trial, before the sampler draws the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.samplers import PartialFixedSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.samplers.ask import Ask
from optnas.study.attributes import retry_of


@dataclass(frozen=True)
class Given:
    """What is given to a trial.

    Attributes:
        held: What all trials have, by Optuna's `PartialFixedSampler`.
        queued: What this one was queued with (`study.enqueue_trial`); None if it wasn't queued.
    """

    held: Mapping[str, Any]
    queued: Mapping[str, Any] | None

    def to(self, ask: Ask) -> Ask:
        """Tells a trial of it; the same one is returned."""
        if self.held:
            ask.hold({**self.held, **(self.queued or {})})
        elif self.queued:
            ask.expect(self.queued)
        return ask


def given(study: Study, trial: FrozenTrial) -> Given:
    """What is given to a trial of a study; to a retry, what was given to the trial it repeats."""
    while (number := retry_of(trial)) is not None:
        trial = study.get_trials(deepcopy=False)[number]
    return Given(_held(study), trial.system_attrs.get("fixed_params"))


def _held(study: Study) -> dict[str, Any]:
    held: dict[str, Any] = {}
    sampler = study.sampler
    while isinstance(sampler, PartialFixedSampler):
        # Both are private. Without them nothing is known to be held, and networks may be repeated.
        held = {**getattr(sampler, "_fixed_params", {}), **held}
        sampler = getattr(sampler, "_base_sampler", None)
    return held
