"""The study that reports are made of."""

import pytest
from report_studies import ROWS, make_study


@pytest.fixture
def study():
    return make_study(ROWS)
