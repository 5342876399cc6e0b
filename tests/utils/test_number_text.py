"""Numbers as tables have them."""

import math

import pytest

from optnas.utils.text import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (4_812_905, "4,812,905"),
        (4_812_905.3, "4,813,000"),  # it had been 4.813e+06, in a column with the one above
        (-12_345.6, "-12,350"),
        (999.96, "1,000"),
        (999.94, "999.9"),
        (0.123456, "0.1235"),
        (1.23456e-7, "1.235e-07"),
        (1.5e16, "1.5e+16"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_large_numbers_have_their_zeros(value, text):
    assert number(value) == text
