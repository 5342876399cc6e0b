"""U-Nets: an encoder, a decoder, and skip connections between them."""

from optnas.search_spaces.unet.architecture import UNetArchitecture
from optnas.search_spaces.unet.space import UNetSpace

__all__ = ["UNetArchitecture", "UNetSpace"]
