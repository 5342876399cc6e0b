"""Low-rank adapters of a given network: their ranks are searched."""

from optnas.search_spaces.lora.layers import LoRALinear, merge_adapters
from optnas.search_spaces.lora.space import LoRAArchitecture, LoRASpace

__all__ = ["LoRAArchitecture", "LoRALinear", "LoRASpace", "merge_adapters"]
