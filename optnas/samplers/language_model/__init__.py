"""A sampler that asks a language model; `sampler.py` has the outline."""

from optnas.samplers.language_model.client import ChatClient, Reply, RequestError
from optnas.samplers.language_model.record import usage_text
from optnas.samplers.language_model.sampler import LanguageModelSampler

__all__ = ["ChatClient", "LanguageModelSampler", "Reply", "RequestError", "usage_text"]
