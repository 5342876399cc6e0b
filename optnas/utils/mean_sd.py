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
        """The spread of at least one value."""
        same = min(values) == max(values)  # their computed mean may be off by rounding
        mean = values[0] if same else fmean(values)
        deviation = math.nan if len(values) < 2 else 0.0 if same else stdev(values)
        return cls(mean, deviation, len(values))

    def __str__(self) -> str:
        if not self.deviation > 0:
            return number(self.mean)
        # The deviation with two digits, and the mean with as many decimals.
        digits = 1 - math.floor(math.log10(self.deviation))
        if not 0 <= digits <= 9:
            return f"{number(self.mean)} ± {self.deviation:.2g}"
        return f"{self.mean:,.{digits}f} ± {self.deviation:,.{digits}f}"
