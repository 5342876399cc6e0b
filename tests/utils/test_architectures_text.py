"""The size of a space is a sentence, also where there is no number."""

import pytest

from optnas.search_spaces.size import SpaceSize
from optnas.utils.text import architectures_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (SpaceSize(1234), "1,234 architectures"),
        (SpaceSize(2.7e15, 0.09), "about 2.7e+15 (± 9%) architectures"),
        (SpaceSize(float("inf")), "infinitely many architectures: a parameter is continuous"),
        ("unknown (KeyError while counting: 'a')", None),
    ],
)
def test_architectures_text(size, text):
    assert architectures_text(str(size)) == (text or f"number of architectures {size}")
