"""The contract of a metric."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from optnas.candidate import Candidate
from optnas.study.objectives import Direction
from optnas.utils.checks import check_counts as check_counts


class Metric(ABC):
    """A property of a candidate that needs no training.

    Attributes:
        direction: Whether less or more of it is better.
        exact: Whether the value depends only on the architecture, so that a second measurement
            gives the same number.
        tolerance: The relative difference that an exact value may have on another machine; 0 for a
            count.
        least: What no value is below, such as 0 for a time. A bound below it is refused.
        effort: How much work a measurement is: 0 inspects the model, 1 runs it once, 2 times it, 3
            leaves this process. Metrics are measured in this order, so that a broken bound on a
            cheap metric saves the expensive ones.
    """

    direction: Direction = "minimize"
    exact: bool = True
    tolerance: ClassVar[float] = 0.0
    least: ClassVar[float] = -math.inf
    effort: ClassVar[int] = 1

    @property
    @abstractmethod
    def name(self) -> str:
        """The metric's name in a study, with its unit where it has one (`latency_ms`)."""

    @abstractmethod
    def measure(self, candidate: Candidate) -> float:
        """Measures the candidate and leaves its model unchanged.

        Further facts may go to `candidate.details[self.name]`; they must fit into JSON.

        Returns:
            The value, in the unit of the name. NaN or infinity fails the trial.

        Raises:
            CandidateError: This network has no such value; its trial fails with the message as the
                reason.
        """

    def check(self, candidate: Candidate) -> None:  # noqa: B027
        """Cross-checks against an independent counter; the outcome goes to the details.

        Called once for a candidate that is trained, or whose inherited or looked-up scores join the
        front; not for candidates that are only proposed.
        """

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Device and settings; values with different fingerprints can't be compared."""
        return {}

    def on(self, device: str) -> Metric:
        """This metric for a study that runs on `device`; itself if devices don't matter to it."""
        return self


def labelled(name: str, label: str) -> str:
    """`name`, or `name.label` where a label tells several metrics of one kind apart."""
    return f"{name}.{label}" if label else name
