"""Blocks that are left out of a given network, and images that it resizes first."""

import copy
from random import Random

import pytest
import slim_networks as nets
import torch
from optuna.trial import FixedTrial
from slim_networks import IMAGE, TOKENS, VECTOR, seeded
from torch import nn
from torch.nn.functional import interpolate, relu

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.metrics import Macs, Params
from optnas.search_spaces import SlimSpace
from optnas.search_spaces.slim import SlimArchitecture
from optnas.testing import SpaceContract
from optnas.utils.draft import Draft


class Pooled(nn.Module):
    """Images of any size; 4 channels all the way."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.stage = nn.Sequential(nets.Block(4, 4), nets.Block(4, 4))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.stage(relu(self.stem(x))).mean((2, 3)))


class Unit(nn.Module):
    """A residual block of another form: what it adds, and to what, depends on the kind."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.layer, self.norm = kind, nn.Linear(6, 6), nn.LayerNorm(6)
        self.bias = nn.Parameter(torch.ones(6))

    def forward(self, x, shift=None):
        y = self.layer(x)
        match self.kind:
            case "pre":
                return x + self.layer(relu(self.norm(x)))
            case "post":
                return self.norm(y + x)
            case "in place":
                y += x
                return y.relu_()
            case "twice":
                x = x + y
                return x + self.layer(x)
            case "tuple":
                return (x + y + shift,)
            case "position":
                return x + self.bias
            case "plain":
                return y
            case "scaled":
                return torch.add(y, x, alpha=2)
            case "product":
                return x * y
            case "gate":
                return x * 0.5 + y


class Stack(nn.Module):
    def __init__(self, *kinds):
        super().__init__()
        self.first, self.head = nn.Linear(6, 6), nn.Linear(6, 3)
        self.units, self.kinds = nn.ModuleList(map(Unit, kinds)), list(kinds)

    def forward(self, x):
        x = self.first(x)
        for unit, kind in zip(self.units, self.kinds, strict=True):
            x = unit(x, x)[0] if kind == "tuple" else unit(x)
        return self.head(x)


RESIDUAL = SlimSpace(seeded(nets.Residual), IMAGE, depth=True)
POOLED = SlimSpace(seeded(Pooled), IMAGE, widths=(0.5, 1), depth=True, resolutions=(4, 8, 6))


class TestDepth(SpaceContract):
    space = RESIDUAL


class TestResolution(SpaceContract):
    space = POOLED


def names(space):
    return [name for name in space.params_of(space.uniform(1)) if name.endswith(".depth")]


def candidate(space, architecture):
    return Candidate(architecture, space.example_inputs, lambda: space.build(architecture))


@pytest.mark.parametrize("kind", ["pre", "post", "in place", "twice", "tuple"])
def test_modules_that_add_to_their_input_may_be_left_out(kind):
    given = seeded(Stack, kind, kind)
    space = SlimSpace(given, VECTOR, widths=(1.0,), depth=True)
    assert names(space) == ["units.0.depth", "units.1.depth"]
    slim = space.build(SlimArchitecture((), ("units.0", "units.1"))).eval()
    assert torch.equal(slim(VECTOR), given.head(given.first(VECTOR)))
    shallow, slim = copy.deepcopy(given), space.build(SlimArchitecture((), ("units.0",))).eval()
    del shallow.units[0], shallow.kinds[0]
    assert torch.equal(slim(VECTOR), shallow(VECTOR))


@pytest.mark.parametrize("kind", ["position", "plain", "scaled", "product", "gate"])
def test_other_modules_stay(kind):
    space = SlimSpace(seeded(Stack, kind, "pre"), VECTOR, depth=True)
    assert names(space) == ["units.1.depth"]


def test_the_innermost_blocks_are_found_and_not_those_that_change_the_shape():
    assert names(RESIDUAL) == ["block1.depth"]
    assert names(POOLED) == ["stage.0.depth", "stage.1.depth"]
    network = nn.Sequential(nn.Linear(6, 6), *[Unit("pre")] * 2, nn.Linear(6, 3)).eval()
    with pytest.raises(InputError, match=r"no block of this Sequential can be left out\. A block"):
        SlimSpace(network, VECTOR, depth=True)  # it is called twice


def test_what_lies_in_a_block_goes_with_it():
    params = {"block1.depth": 0, "stem.width": 0.5, "block2.conv1.width": 1.0}
    params["block2.conv2.width"] = 0.25
    architecture = RESIDUAL.suggest(FixedTrial(params))
    assert str(architecture) == "slim stem:0.5 block2.conv2:0.25 without block1"
    assert RESIDUAL.params_of(architecture) == params
    given, found = seeded(nets.Residual), candidate(RESIDUAL, SlimArchitecture((), ("block1",)))
    assert not [name for name in found.model.state_dict() if name.startswith("block1")]
    assert torch.equal(
        found.model.eval()(IMAGE), given.head(given.block2(given.stem(IMAGE)).flatten(1))
    )
    whole = candidate(RESIDUAL, RESIDUAL.uniform(1))
    inner = 2 * 9 * 4 * 4
    assert Params().measure(whole) - Params().measure(found) == inner + 16
    assert Macs().measure(whole) - Macs().measure(found) == 16 * inner
    with pytest.raises(InputError, match=r"block1\.conv1\.width is 0\.5 in the architecture"):
        RESIDUAL.params_of(SlimArchitecture((("block1.conv1", 0.5),), ("block1",)))
    with pytest.raises(InputError, match=r"block2\.depth is 0 in the architecture"):
        RESIDUAL.params_of(SlimArchitecture((), ("block2",)))


def test_patterns_choose_blocks():
    def found(depth):
        return names(SlimSpace(seeded(Pooled), IMAGE, depth=depth))

    assert found("stage.*") == ["stage.0.depth", "stage.1.depth"]
    assert found(("1",)) == ["stage.1.depth"]
    assert found(False) == []
    with pytest.raises(InputError, match=r"depth: 'stem' matches no residual block.*stage\.0"):
        found("stem")


class Reading(Pooled):
    """Its own code reads a setting of its first block."""

    def forward(self, x):
        assert self.stage[0].conv1.stride == (1, 1)
        return super().forward(x)


def test_blocks_that_the_networks_code_reads_are_left_alone():
    space = SlimSpace(seeded(Reading), IMAGE, depth=True)
    assert names(space) == ["stage.1.depth"]
    assert "without it, the network fails (AttributeError" in space.left_alone["stage.0"]
    with pytest.raises(InputError, match=r"can be left out \(stage\.0: without it"):
        SlimSpace(seeded(Reading), IMAGE, depth="stage.0")


def test_layers_of_a_transformer_are_blocks():
    space = SlimSpace(
        nn.Sequential(
            nn.Linear(6, 8),
            *(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True) for _ in range(2)),
            nn.Linear(8, 3),
        ),
        TOKENS,
        depth=True,
    )
    assert names(space) == ["1.depth", "2.depth"]


def test_images_are_resized_first():
    given, x = seeded(Pooled), torch.randn(5, 1, 8, 8)
    params = {"resolution": 4, "stage.0.depth": 1, "stage.1.depth": 1}
    params |= {"stem.width": 1.0, "stage.0.conv1.width": 1.0, "stage.1.conv1.width": 1.0}
    small = POOLED.suggest(FixedTrial(params))
    assert (str(small), POOLED.params_of(small)) == ("slim 4px none", params)
    built = POOLED.build(small).eval()
    assert torch.equal(built(x), given(interpolate(x, size=(4, 4), mode="bilinear")))
    own = POOLED.suggest(FixedTrial(params | {"resolution": 8}))
    assert own == POOLED.uniform(1)
    assert torch.equal(POOLED.build(own).eval()(x), given(x))
    convolutions = Macs().measure(candidate(POOLED, own)) - 12
    assert Macs().measure(candidate(POOLED, small)) - 12 == convolutions / 4
    assert Params().measure(candidate(POOLED, small)) == Params().measure(candidate(POOLED, own))


def test_resolutions_alone_can_be_searched():
    space = SlimSpace(seeded(Pooled), IMAGE, widths=(1.0,), resolutions=(4, 6))
    assert [d.choices for d in map(space_of_one, [space])] == [(4, 6)]
    with pytest.raises(InputError, match="resolution is 8 in the architecture, and one of 4, 6"):
        space.params_of(space.uniform(1))


def space_of_one(space):
    draft = Draft({}, Random(0))
    space.suggest(draft)
    (distribution,) = draft.distributions.values()
    return distribution


@pytest.mark.parametrize(
    ("make", "example", "settings", "message"),
    [
        (nets.Residual, IMAGE, {"resolutions": (4,)}, r"can't take images of 4×4 \(RuntimeError: "),
        (nets.perceptron, VECTOR, {"resolutions": (4,)}, r"inputs have \(1, 6\): leave resol"),
        (Pooled, IMAGE, {"resolutions": (0,)}, "resolutions must be"),
        (Pooled, IMAGE, {"resolutions": 4}, r"give \(4,\) for one alone"),
        (nets.perceptron, VECTOR, {"depth": True}, "no block of this Sequential can be left out"),
        (Pooled, IMAGE, {"widths": (1,)}, "unless depth or resolutions are searched"),
        (Pooled, IMAGE, {"widths": (1.5,), "depth": True}, "at most 1"),
        (Pooled, IMAGE, {"depth": 3}, "depth must be True, False, or"),
    ],
)
def test_what_a_network_can_not_take_is_refused(make, example, settings, message):
    with pytest.raises((InputError, ValueError, TypeError), match=message):
        SlimSpace(seeded(make), example, **settings)


def test_what_is_searched_is_part_of_the_space():
    plain = SlimSpace(seeded(Pooled), IMAGE, widths=(0.5, 1))
    spaces = [plain, SlimSpace(seeded(Pooled), IMAGE, widths=(0.5, 1), depth=True), POOLED]
    assert len({space.fingerprint for space in spaces}) == 3
    assert "depth" not in plain.fingerprint
