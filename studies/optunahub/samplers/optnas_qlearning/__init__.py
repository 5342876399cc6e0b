"""Q-Learning: the sampler lives in optnas."""

from optnas.samplers import QLearningSampler

__all__ = ["QLearningSampler"]
