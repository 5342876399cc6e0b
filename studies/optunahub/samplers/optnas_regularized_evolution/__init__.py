"""Regularized Evolution: the sampler lives in optnas."""

from optnas.samplers import RegularizedEvolutionSampler

__all__ = ["RegularizedEvolutionSampler"]
