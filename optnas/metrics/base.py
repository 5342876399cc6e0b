"""What a metric is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from optnas.candidate import Candidate
from optnas.study.objectives import Direction
from optnas.utils.checks import check_counts as check_counts


class Metric(ABC):
    """A property of a candidate that needs no training.

    Attributes:
        direction: Whether less or more of it is better.
        exact: Whether it depends on the architecture alone, so that measuring it twice gives the
            same number.
        tolerance: By what share an exact one may be off on another machine: 0 for a count.
        effort: How much work it is: 0 looks at the model, 1 runs it once, 2 times it, 3 leaves
            this process. Metrics are measured in this order, so that a broken bound on a cheap
            one saves the others.
    """

    direction: Direction = "minimize"
    exact: bool = True
    tolerance: ClassVar[float] = 0.0
    effort: ClassVar[int] = 1

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in a study, with its unit where it has one (`latency_ms`)."""

    @abstractmethod
    def measure(self, candidate: Candidate) -> float:
        """Measures the candidate and leaves its model as it was.

        Further facts may go to `candidate.details[self.name]`.
        """

    def check(self, candidate: Candidate) -> None:  # noqa: B027
        """Holds the number against an independent one; the outcome goes to the details.

        Called once for a candidate that is trained, or whose inherited or looked-up scores join the
        front; not for those that are only proposed.
        """

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Device and settings; numbers with different fingerprints can't be compared."""
        return {}

    def on(self, device: str) -> Metric:
        """This metric for a study that runs on `device`; the same where devices don't matter."""
        return self
