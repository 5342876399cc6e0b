"""What trains the relaxed network of a `GradientSampler`: data and losses are above samplers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from optnas.samplers.gradient.relaxed import Relaxed
from optnas.samplers.gradient.settings import RelaxedSettings


class Trainer(Protocol):
    """Trains relaxed networks; `optnas.Objective` has one (`objective.relaxation`)."""

    def names(self, settings: RelaxedSettings, seed: int) -> Mapping[str, str]:
        """All that decides what a training leads to."""

    def train(
        self,
        settings: RelaxedSettings,
        seed: int,
        report: Callable[[str], None] | None,
        stopped: Callable[[], bool] | None,
        done: Callable[[], Relaxed | None],
        keep: Callable[[Relaxed], None],
    ) -> None:
        """Trains the relaxed network, or waits for another process that does.

        Args:
            settings: Those of the sampler.
            seed: Seeds the training.
            report: Receives lines about the progress.
            stopped: Whether to interrupt the work.
            done: The result that the study keeps, once there is one.
            keep: Stores the result there; called before another process may begin.
        """
