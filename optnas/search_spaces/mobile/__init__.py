"""Mobile networks: stages of inverted residuals."""

from optnas.search_spaces.mobile.architecture import MobileArchitecture, MobileBlock
from optnas.search_spaces.mobile.space import MobileSpace
from optnas.search_spaces.mobile.stage import MobileStage

__all__ = ["MobileArchitecture", "MobileBlock", "MobileSpace", "MobileStage"]
