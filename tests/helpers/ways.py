"""Tests of what replaces private functions of Optuna, and of the public way in its place."""

import pytest

both_ways = pytest.mark.parametrize("way", ["rows", "public"], indirect=True)
"""Runs a test in tests/storage with trials as rows, and as with another version of Optuna."""
