"""Multiply-accumulates and floating-point operations as metrics.

**macs** = multiply-accumulates of convolutions, matrix products, recurrent layers and attention
(QKᵀ and AV included) for one example; no bias, normalisation, activation, pooling or softmax.
**flops** = 2 · macs.

thop's number, which many papers quote, is stored beside ours as `macs_thop` in the details of what
is checked (`Metric.check`), with what explains the difference where thop is at fault. Operations
that nobody has a formula for, such as quantised or custom ones, are named there as `not_counted`.
"""

from __future__ import annotations

from typing import ClassVar

from optnas.candidate import Candidate
from optnas.metrics.base import Metric
from optnas.metrics.counting import count_pass
from optnas.metrics.thop_check import check_with_thop


class Macs(Metric):
    """Multiply-accumulates for one example (see the module's docstring for the definition)."""

    effort: ClassVar[int] = 0

    @property
    def name(self) -> str:
        """`macs`."""
        return "macs"

    def measure(self, candidate: Candidate) -> float:
        """Counts one inference pass over the example inputs."""
        return float(_macs(candidate))

    def check(self, candidate: Candidate) -> None:
        """Counts with thop too: `macs_thop`, and `differences` where thop is at fault."""
        _check(candidate)


class Flops(Metric):
    """Floating-point operations for one example: 2 · macs."""

    effort: ClassVar[int] = 0

    @property
    def name(self) -> str:
        """`flops`."""
        return "flops"

    def measure(self, candidate: Candidate) -> float:
        """Counts one inference pass over the example inputs."""
        return 2.0 * _macs(candidate)

    def check(self, candidate: Candidate) -> None:
        """Counts with thop too (see `Macs.check`)."""
        _check(candidate)


def _macs(candidate: Candidate) -> int:
    """The count of a candidate, made once."""
    if "macs" not in candidate.details:
        found = count_pass(candidate.to_measure(), candidate.example_inputs)
        unknown = {"not_counted": list(found.unknown)} if found.unknown else {}
        candidate.details["macs"] = {"macs": found.macs, **unknown}
    return int(candidate.details["macs"]["macs"])


def _check(candidate: Candidate) -> None:
    if "macs_thop" not in candidate.details.get("macs", {}):
        _macs(candidate)
        # The evaluator may have moved the model.
        check = check_with_thop(candidate.to_measure().cpu(), candidate.example_inputs)
        candidate.details["macs"] |= check.summary()
