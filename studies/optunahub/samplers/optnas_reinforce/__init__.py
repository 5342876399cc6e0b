"""Reinforcement learning: the sampler lives in optnas."""

from optnas.samplers import ReinforceSampler

__all__ = ["ReinforceSampler"]
