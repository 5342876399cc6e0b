"""Trains relaxed networks, for `optnas.GradientSampler`; `training.py` has the outline."""

from optnas.evaluators.relaxed.relaxation import Relaxation, check_relaxable

__all__ = ["Relaxation", "check_relaxable"]
