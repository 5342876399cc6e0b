"""Residual networks: stages of basic and bottleneck blocks."""

from optnas.search_spaces.resnet.architecture import ResNetArchitecture, ResNetBlocks
from optnas.search_spaces.resnet.space import ResNetSpace
from optnas.search_spaces.resnet.stage import ResNetStage

__all__ = ["ResNetArchitecture", "ResNetBlocks", "ResNetSpace", "ResNetStage"]
