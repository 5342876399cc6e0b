"""Mean and standard deviation of a value that was measured several times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from optnas.utils.text import number


class Spread(NamedTuple):
    """Mean and standard deviation of a value, as text `0.0742 ± 0.0031`.

    Attributes:
        mean: The mean.
        deviation: The sample standard deviation (divided by n - 1); NaN for a single value.
        n: The number of values.
    """

    mean: float
    deviation: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one finite value."""
        same = min(values) == max(values)  # their computed mean may be off by rounding
        # A power of two, which changes no digit, keeps sums of huge values from overflowing.
        unit = 2.0**-600 if max(map(abs, values)) > 2.0**500 else 1.0
        scaled = [value * unit for value in values]
        mean = values[0] if same else fmean(scaled) / unit
        deviation = math.nan if len(values) < 2 else 0.0 if same else stdev(scaled) / unit
        return cls(mean, deviation, len(values))

    def __str__(self) -> str:
        if not self.deviation > 0:
            return number(self.mean)
        # The deviation with two digits, and the mean with as many decimals.
        finite = math.isfinite(self.deviation)
        digits = 1 - math.floor(math.log10(self.deviation)) if finite else -1
        if not 0 <= digits <= 9:
            return f"{number(self.mean)} ± {number(float(f'{self.deviation:.2g}'))}"
        return f"{self.mean:,.{digits}f} ± {self.deviation:,.{digits}f}"
