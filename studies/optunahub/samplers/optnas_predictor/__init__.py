"""Predictor that Knows the Costs: the sampler lives in optnas."""

from optnas.samplers import PredictorSampler

__all__ = ["PredictorSampler"]
