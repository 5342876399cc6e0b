"""Tests that send Ctrl-C to their own process."""

import pytest

interrupts_itself = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning"
)
"""The signal may come between `open` and the `with` that would close the file."""
