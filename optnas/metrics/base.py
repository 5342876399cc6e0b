"""What a metric is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from optnas.candidate import Candidate

Direction = Literal["minimize", "maximize"]


class Metric(ABC):
    """A property of a candidate that needs no training.

    Attributes:
        direction: Whether less or more of it is better.
        exact: Whether it is a count that depends on the architecture alone, so that measuring
            it twice gives the same number. Exact metrics are measured first.
    """

    direction: ClassVar[Direction] = "minimize"
    exact: ClassVar[bool] = True

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in a study, with its unit where it has one (`latency_ms`)."""

    @abstractmethod
    def measure(self, candidate: Candidate) -> float:
        """Measures the candidate and leaves its model as it was.

        Further facts may go to `candidate.details[self.name]`.
        """

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Device and settings; numbers with different fingerprints can't be compared."""
        return {}

    def on(self, device: str) -> Metric:
        """This metric for a study that runs on `device`; the same where devices don't matter."""
        return self
