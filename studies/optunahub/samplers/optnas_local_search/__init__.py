"""Local Search on the Front: the sampler lives in optnas."""

from optnas.samplers import LocalSearchSampler

__all__ = ["LocalSearchSampler"]
