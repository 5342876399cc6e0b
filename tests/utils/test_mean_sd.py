"""The mean and the deviation of values of any size."""

import math
import sys
from statistics import fmean, stdev

import pytest

from optnas.utils.mean_sd import Spread


@pytest.mark.parametrize("size", [1.0, sys.float_info.max, 1e-300])
def test_a_spread_has_the_size_of_its_values(size):
    values = [1.0, 0.5, 0.9]
    found = Spread.of([value * size for value in values])
    assert found.mean / size == pytest.approx(fmean(values))
    assert found.deviation / size == pytest.approx(stdev(values))
    assert str(found)


def test_a_deviation_beyond_all_floats_is_infinite():
    found = Spread.of([-sys.float_info.max, sys.float_info.max])
    assert (found.mean, found.deviation) == (0.0, math.inf)
    assert str(found) == "0 ± inf"
