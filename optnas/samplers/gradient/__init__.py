"""A sampler that trains a relaxed network by gradients; `sampler.py` has the outline."""

from optnas.samplers.gradient.relaxed import Proposal, Relaxed, relaxed_of, relaxed_text
from optnas.samplers.gradient.sampler import GradientSampler, key_of
from optnas.samplers.gradient.settings import RelaxedSettings
from optnas.samplers.gradient.trainer import Trainer

__all__ = [
    "GradientSampler",
    "Proposal",
    "Relaxed",
    "RelaxedSettings",
    "Trainer",
    "key_of",
    "relaxed_of",
    "relaxed_text",
]
