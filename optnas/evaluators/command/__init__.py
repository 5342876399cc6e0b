"""Trains networks by a command: a script that isn't touched."""

from optnas.evaluators.command.evaluator import CommandEvaluator

__all__ = ["CommandEvaluator"]
