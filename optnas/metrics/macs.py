"""Multiply-accumulates and floating-point operations as metrics.

**macs** = multiply-accumulates of convolutions, matrix products, recurrent layers and attention
(QKᵀ and AV included) for one example; no bias, normalisation, activation, pooling or softmax.
**flops** = 2 · macs.

`counting.py` counts, with the formulas in `formulas.py`. Many papers quote the count of the package
thop instead: `check` stores it as `macs_thop` in the trial's details, together with every
difference that the definition doesn't explain (`thop_check.py`). The details also name operations
without a formula, such as quantised or custom ones, as `not_counted`.
"""

from __future__ import annotations

from typing import ClassVar

from optnas.candidate import Candidate
from optnas.metrics.base import Metric
from optnas.metrics.counting import count_pass
from optnas.metrics.thop_check import check_with_thop


class Macs(Metric):
    """Multiply-accumulates of one inference pass over one example.

    Counted are convolutions, matrix products, recurrent layers and attention (QKᵀ and AV included);
    no bias, normalisation, activation, pooling or softmax.
    """

    name = "macs"
    effort: ClassVar[int] = 0
    least: ClassVar[float] = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Counts one inference pass over the example inputs."""
        return float(_macs(candidate))

    def check(self, candidate: Candidate) -> None:
        """Counts with thop too: details `macs_thop`, and `differences` where thop is at fault."""
        _check(candidate)


class Flops(Metric):
    """Floating-point operations of one inference pass over one example: 2 · macs (see `Macs`)."""

    name = "flops"
    effort: ClassVar[int] = 0
    least: ClassVar[float] = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Counts one inference pass over the example inputs."""
        return 2.0 * _macs(candidate)

    def check(self, candidate: Candidate) -> None:
        """Counts with thop too (see `Macs.check`)."""
        _check(candidate)


def _macs(candidate: Candidate) -> int:
    """The count of a candidate; counted once for both metrics."""
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
