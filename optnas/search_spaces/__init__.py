"""Search spaces: each defines a set of architectures and builds their networks."""

from optnas.search_spaces.abilities import Encodable, Relaxable
from optnas.search_spaces.base import SearchSpace
from optnas.search_spaces.cell import Cell, CellArchitecture, CellSpace
from optnas.search_spaces.choice import RelaxedTrial, choose
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.function_space import FunctionSpace
from optnas.search_spaces.lora import LoRASpace, merge_adapters
from optnas.search_spaces.macro_cnn import MacroCNNSpace
from optnas.search_spaces.mlp import MLPSpace
from optnas.search_spaces.mobile import MobileSpace, MobileStage
from optnas.search_spaces.model_space import ModelSpace
from optnas.search_spaces.nasbench201 import NASBench201Space
from optnas.search_spaces.parameter_space import ParameterSpace
from optnas.search_spaces.resnet import ResNetSpace, ResNetStage
from optnas.search_spaces.sequence import SequenceArchitecture, SequenceSpace
from optnas.search_spaces.size import SpaceSize, space_size
from optnas.search_spaces.slim import SlimArchitecture, SlimSpace
from optnas.search_spaces.tabular import TabularArchitecture, TabularSpace
from optnas.search_spaces.transformer import GPTSpace, TransformerLayer, ViTSpace
from optnas.search_spaces.unet import UNetSpace

__all__ = [
    "Cell",
    "CellArchitecture",
    "CellSpace",
    "Encodable",
    "FunctionSpace",
    "GPTSpace",
    "LoRASpace",
    "MLPSpace",
    "MacroCNNSpace",
    "MobileSpace",
    "MobileStage",
    "ModelSpace",
    "NASBench201Space",
    "ParameterSpace",
    "Relaxable",
    "RelaxedTrial",
    "ResNetSpace",
    "ResNetStage",
    "SearchSpace",
    "SequenceArchitecture",
    "SequenceSpace",
    "SlimArchitecture",
    "SlimSpace",
    "SpaceSize",
    "TabularArchitecture",
    "TabularSpace",
    "TransformerLayer",
    "UNetSpace",
    "ViTSpace",
    "choose",
    "encode",
    "merge_adapters",
    "space_size",
]


def __dir__() -> list[str]:
    return __all__
