"""A search space of the widths of a given network: compression by architecture search.

Sources: Liu et al., Learning efficient convolutional networks through network slimming, ICCV 2017
(arXiv 1708.06519), and Liu et al., MetaPruning, ICCV 2019 (arXiv 1903.10258), who search the width
of each layer. Here a slimmer network has the most important channels of the given one, with their
weights, and is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from optuna.trial import BaseTrial
from torch import Tensor, nn

from optnas.candidate import copy_of, materialize
from optnas.errors import InputError
from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace
from optnas.search_spaces.checks import check_choices
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.lora.patterns import as_patterns
from optnas.search_spaces.slim.architecture import SlimArchitecture
from optnas.search_spaces.slim.blocks import blocks_around
from optnas.search_spaces.slim.check import Check
from optnas.search_spaces.slim.choice import (
    as_depth,
    checked_resolutions,
    chosen_blocks,
    chosen_groups,
    refuse_if_none,
    resized,
)
from optnas.search_spaces.slim.graph import Channels
from optnas.search_spaces.slim.groups import groups_of, slimmable
from optnas.search_spaces.slim.importance import by_magnitude, by_taylor
from optnas.search_spaces.slim.slicing import Group, Slicer
from optnas.search_spaces.staged import choose
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.inputs import Inputs, checked_inputs
from optnas.utils.random_state import preserved

Importance = Literal["magnitude", "taylor"]


class SlimSpace(SearchSpace[SlimArchitecture], Encodable[SlimArchitecture]):
    """The widths of the layers of a given network, trained or not.

    `build` gives a copy of the network that has the most important channels of each layer, with
    their weights. Training continues from there. Full width everywhere is the network itself.

    Channels that meet must be removed together: those that a sum joins, those before and behind a
    depthwise convolution or a normalisation, or the rows of queries, keys and values of a head.
    Such a group has one width. Its units are channels, or what can't be divided: a group of a
    grouped convolution or GroupNorm, a head of attention. At least one stays. The network's inputs
    and outputs keep their sizes.

    A network of which channels are copies of others computes the same without the copies. When the
    space is made, it checks this for random weights, all groups together and else one by one. A
    group that fails keeps its channels; `left_alone` says why.

    A study resumes only with the same network: the space's fingerprint has a hash of its weights.
    So a study file reads them from a file, or trains them in the same way each time.

    With `depth`, blocks are left out too: modules that add something to their input, and return it
    in the same shape. Without the block its input passes on. The smallest such modules are taken.

    Parameters: `NAME.width` for each group, with the name of its first layer, unless all of it lies
    in blocks that are left out; `NAME.depth` for each block, 1 or 0; `resolution`.

    Needs the extra `slim` (torch-pruning, whose dependency graph says which channels meet).

    Example:
        ```python
        import torch
        from torch import nn

        import optnas

        trained = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 16, 3), nn.Flatten(), nn.Linear(256, 10)
        )
        space = optnas.SlimSpace(trained, torch.zeros(1, 1, 8, 8), widths=(0.25, 0.5, 1.0))
        half = space.build(space.uniform(0.5))
        print(half[4])  # Linear(in_features=128, out_features=10, bias=True)
        ```

    Args:
        model: The network; the space has a copy, on the CPU.
        example_inputs: One batch element with the batch dimension (of size 1) first.
        widths: Shares of the channels (above 0, at most 1) that may stay; with one, it is fixed.
            Of shares that keep equally many units of a group, the largest is offered.
        only: Names of layers, or patterns of names with `*`, `?` and `[…]`: their groups alone are
            searched. A pattern matches a whole name, or its end after a dot. A layer stands for its
            group.
        keep: Names or patterns of layers whose groups keep their channels.
        importance: Which channels stay: `magnitude`, those of the largest sum of squared weights in
            the layers of the group (Fang et al., CVPR 2023); or `taylor`, those without which the
            loss is estimated to change most (Molchanov et al., CVPR 2019). They are ranked once, so
            that a narrow layer has a part of the channels of a wider one.
        batch: For `taylor`: inputs and targets.
        loss: For `taylor`: `loss(outputs, targets)`, a tensor of one element.
        depth: True searches which residual blocks are left out; names or patterns, which of those
            that they match. `widths=(1.0,)` searches nothing else.
        resolutions: The choices for height and width, to which the network resizes its images; ()
            leaves them.

    Attributes:
        left_alone: Groups that keep their channels because the network would fail or compute
            something else with fewer, and blocks that stay because it would fail without: the
            reason, by name.

    Raises:
        TypeError: `model` is no module, or a pattern no text.
        ValueError: A width, the importance or a resolution is none that there is.
        InputError: The extra isn't installed, the network can't be traced or checked, a pattern
            matches nothing, there is nothing to search, or the network can't take a resolution.
    """

    def __init__(
        self,
        model: nn.Module,
        example_inputs: Inputs,
        widths: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
        only: str | Sequence[str] | None = None,
        keep: str | Sequence[str] | None = None,
        importance: Importance = "magnitude",
        *,
        batch: tuple[Inputs, Any] | None = None,
        loss: Callable[[Any, Any], Tensor] | None = None,
        depth: bool | str | Sequence[str] = False,
        resolutions: Sequence[int] = (),
    ) -> None:
        check_choices("widths", widths)
        self._widths = tuple(sorted(map(float, widths)))
        self._depth = as_depth(depth)
        alone = bool(self._depth or resolutions)
        if not self._widths or not 0 < self._widths[0] < 1 + alone or self._widths[-1] > 1:
            raise ValueError(
                "widths must be numbers above 0 and at most 1, and one of them below 1 (unless "
                f"depth or resolutions are searched), got {tuple(widths)}"
            )
        if importance not in ("magnitude", "taylor"):
            raise ValueError(f"importance must be magnitude or taylor, got {importance!r}")
        if (importance == "taylor") != (batch is not None and loss is not None):
            raise InputError(
                "importance='taylor' needs batch=(inputs, targets) and loss=function of outputs "
                "and targets, and no other importance takes them"
            )
        self._example_inputs = checked_inputs(example_inputs)
        self._only = None if only is None else as_patterns("only", only)
        self._keep = as_patterns("keep", keep or ())
        self._model = copy_of(model).cpu()
        materialize(self._model, self._example_inputs)
        # A training may leave it in channels_last. What is cut wouldn't be, and PyTorch 2.13's
        # backward pass of such a mixture writes where it mustn't.
        self._model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        with preserved():
            traced = copy_of(self._model).requires_grad_()
            channels = Channels(traced, self._example_inputs)
            groups = groups_of(traced, channels)
            chosen = chosen_groups(traced, groups, self._only, self._keep)
            check = Check(traced, self._example_inputs, channels.ports)
            found, self.left_alone = slimmable(traced, chosen, check)
            self._blocks, refused = chosen_blocks(traced, self._example_inputs, self._depth)
            self._resolutions = checked_resolutions(traced, self._example_inputs, resolutions)
            if not (found or self._blocks or self._resolutions):
                refuse_if_none(model, self.left_alone)
            self.left_alone |= refused
            if failure := check.failure_in_training(found):
                raise InputError(
                    f"in training mode, this {type(model).__name__} fails with fewer channels "
                    f"({failure}): layers that run in training alone, such as an auxiliary head, "
                    "aren't seen; switch them off, or name what they read in keep="
                )
            self._order = (
                by_magnitude(self._model, channels.ports, found)
                if batch is None or loss is None
                else by_taylor(self._model, channels.ports, found, batch, loss)
            )
        self._ranked = importance + ("" if batch is None else f" {code_hash(self._order)}")
        self._groups = found
        self._slicer = Slicer(self._model, channels.ports, found)
        self._choices = {group.name: self._choices_of(group) for group in found}
        self._around = {group.name: blocks_around(group, self._blocks) for group in found}
        self._weights = code_hash(dict(self._model.state_dict()))
        # Here, where the file is as it was imported.
        self._code = code_hash(self._model)

    def _choices_of(self, group: Group) -> dict[float, int]:
        """The widths of a group, each with the number of units that it keeps."""
        by_units = {max(1, int(width * group.units + 0.5)): width for width in self._widths}
        return {width: units for units, width in by_units.items()}

    @property
    def example_inputs(self) -> Inputs:
        """The given example inputs."""
        return self._example_inputs

    def suggest(self, trial: BaseTrial) -> SlimArchitecture:
        """Draws the resolution, the blocks that stay, and the width of each group in what stays."""
        drawn = choose(trial, "resolution", self._resolutions) if self._resolutions else None
        dropped = tuple(name for name in self._blocks if not trial.suggest_int(_depth(name), 0, 1))
        widths = {
            name: trial.suggest_categorical(_width(name), tuple(choices))
            if len(choices) > 1
            else next(iter(choices))
            for name, choices in self._choices.items()
            if not self._around[name] or not self._around[name].issubset(dropped)
        }
        return SlimArchitecture(
            tuple((n, width) for n, width in widths.items() if width < 1),
            dropped,
            None if drawn == self._own_resolution else drawn,
        )

    @property
    def _own_resolution(self) -> int | None:
        """Height and width of the given images, if they are square."""
        inputs = self._example_inputs
        if isinstance(inputs, Tensor) and inputs.ndim == 4 and len({*inputs.shape[2:]}) == 1:
            return inputs.shape[2]
        return None

    def uniform(self, width: float) -> SlimArchitecture:
        """The network in which all groups have one width, as without a search; for baselines.

        `uniform(1)` is the network itself. No block is left out, and images keep their size.

        Raises:
            InputError: The width is none of `widths`.
        """
        if width not in (1, *self._widths):
            raise InputError(f"width {width:g} is none of the space's widths {self._widths}")
        nearest = {
            name: min(w for w in (*choices, 1.0) if w >= width)
            for name, choices in self._choices.items()
        }
        return SlimArchitecture(tuple((name, w) for name, w in nearest.items() if w < 1))

    def params_of(self, architecture: SlimArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        whole = dict.fromkeys(map(_width, self._choices), 1.0)
        whole |= dict.fromkeys(map(_depth, self._blocks), 1)
        return encode(
            self.suggest,
            architecture,
            lambda a: (
                whole
                | {_width(name): width for name, width in a.widths}
                | {_depth(name): 0 for name in a.dropped}
                | {"resolution": a.resolution or self._own_resolution or "unchanged"}
            ),
        )

    def build(self, architecture: SlimArchitecture) -> nn.Module:
        """Makes a copy of the network with the most important channels and their weights.

        At another resolution, a `Sequential` of `resize` and the `network`.
        """
        widths: Mapping[str, float] = dict(architecture.widths)
        kept: list[Any] = []
        for group, order in zip(self._groups, self._order, strict=True):
            width = widths.get(group.name, 1.0)
            units = group.units if width == 1 else self._choices[group.name][width]
            stays = np.zeros(group.units, dtype=bool)
            stays[order[:units]] = True
            kept.append(None if stays.all() else stays)
        skipped = {name: self._blocks[name] for name in architecture.dropped}
        model = self._slicer.build(kept, skipped)
        if architecture.resolution is not None:
            model = resized(model, architecture.resolution)
        return model.train()

    @property
    def code(self) -> str:
        """A hash of the network: its classes, settings and weights."""
        return self._code

    def __repr__(self) -> str:
        further = "" if self._depth is False else f", depth={self._depth}"
        further += f", resolutions={self._resolutions}" if self._resolutions else ""
        return (
            f"SlimSpace({callable_name(type(self._model))} with weights {self._weights}, "
            f"widths={self._widths}, only={self._only}, keep={self._keep}, "
            f"importance={self._ranked}{further})"
        )


def _width(group: str) -> str:
    """The name of a group's parameter in a trial."""
    return f"{group}.width"


def _depth(block: str) -> str:
    """The name of a block's parameter in a trial."""
    return f"{block}.depth"
