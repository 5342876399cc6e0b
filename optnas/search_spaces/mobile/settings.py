"""The settings of a mobile space: its choices, and what an architecture has in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optnas.search_spaces.checks import (
    check_activations,
    check_image_shape,
    check_sizes,
    check_stages,
)
from optnas.search_spaces.mobile.architecture import MobileArchitecture
from optnas.search_spaces.mobile.stage import MobileStage, block_settings
from optnas.search_spaces.multipliers import check_multipliers
from optnas.search_spaces.staged import repeated, rounded
from optnas.utils.checks import check_counts


@dataclass(frozen=True)
class MobileSettings:
    """The settings that `MobileSpace` explains."""

    input_shape: tuple[int, int, int]
    outputs: int
    stages: tuple[MobileStage, ...]
    stem_widths: tuple[int, ...] = (16,)
    stem_strides: tuple[int, ...] = (1,)
    activations: tuple[str, ...] = ("relu",)
    head_widths: tuple[int, ...] = (0,)
    hidden_widths: tuple[int, ...] = (0,)
    resolutions: tuple[int, ...] = ()
    width_multipliers: tuple[float, ...] = (1.0,)
    depth_multipliers: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        check_image_shape(self.input_shape)
        check_counts(outputs=self.outputs)
        check_stages(self.stages, MobileStage)
        check_sizes("stem_widths", self.stem_widths)
        check_sizes("stem_strides", self.stem_strides)
        check_activations(self.activations)
        check_sizes("head_widths", self.head_widths, 0)
        check_sizes("hidden_widths", self.hidden_widths, 0)
        if self.resolutions:
            check_sizes("resolutions", self.resolutions)
        widths = [self.stem_widths, self.head_widths, self.hidden_widths]
        widths += [stage.widths for stage in self.stages]
        check_multipliers("width_multipliers", self.width_multipliers, widths, self._widths)
        depths = [stage.depth for stage in self.stages]
        check_multipliers("depth_multipliers", self.depth_multipliers, depths, self._depths)

    def settings_of(self, architecture: MobileArchitecture) -> dict[str, Any]:
        """An architecture's settings by parameter name; fixed ones too."""
        height, width = self.input_shape[1:]
        unchanged = height if height == width else None
        settings: dict[str, Any] = {
            "resolution": architecture.resolution or unchanged,
            "activation": architecture.activation,
            "stem.width": architecture.stem_width,
            "stem.stride": architecture.stem_stride,
            "head.width": architecture.head_width,
            "head.hidden_width": architecture.hidden_width,
        }
        settings |= self._multipliers_of(architecture)
        stages = list(architecture.stages)
        stages += [()] * (len(self.stages) - len(stages))
        for i, blocks in enumerate(stages, 1):
            settings |= block_settings(f"stage{i}", blocks)
        return settings

    def _widths(self, multiplier: float) -> tuple[int, ...]:
        """All widths, if they are fixed: stem, head, hidden layer, stages."""
        widths = [self.stem_widths, self.head_widths, self.hidden_widths]
        widths += [stage.widths for stage in self.stages]
        return tuple(rounded(choices[0], multiplier) for choices in widths)

    def _depths(self, multiplier: float) -> tuple[int, ...]:
        """All depths, if they are fixed."""
        return tuple(repeated(stage.depth[0], multiplier) for stage in self.stages)

    def _multipliers_of(self, architecture: MobileArchitecture) -> dict[str, float]:
        """The multipliers that give an architecture's widths and depths, if any do."""
        stages = architecture.stages
        depths = [len(blocks) for blocks in stages]
        depths += [0] * (len(self.stages) - len(stages))
        ends = architecture.stem_width, architecture.head_width, architecture.hidden_width
        widths = [*ends, *(blocks[0].width if blocks else 0 for blocks in stages)]
        found = {}
        for multiplier in self.depth_multipliers:
            if list(self._depths(multiplier)) == depths:
                found["depth_multiplier"] = multiplier
        for multiplier in self.width_multipliers:
            ours = self._widths(multiplier)
            if all(width in (0, own) for own, width in zip(ours, widths, strict=False)):
                found["width_multiplier"] = multiplier
        return found
