"""Transformers: vision transformers, and decoders for sequences of tokens."""

from optnas.search_spaces.transformer.gpt import GPTSpace
from optnas.search_spaces.transformer.gpt_architecture import GPTArchitecture
from optnas.search_spaces.transformer.layer import TransformerLayer
from optnas.search_spaces.transformer.vit import ViTSpace
from optnas.search_spaces.transformer.vit_architecture import ViTArchitecture

__all__ = ["GPTArchitecture", "GPTSpace", "TransformerLayer", "ViTArchitecture", "ViTSpace"]
