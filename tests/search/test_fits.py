"""How much of a space fits: against spaces whose networks are counted by hand."""

import inspect
import math
import textwrap
from dataclasses import replace

import pytest
import torch
from docstrings import BLOCK
from optuna import TrialPruned
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.metrics import Int8Flash, Int8PeakActivation
from optnas.plots import fits_figure

TARGET = optnas.Target(ram_kb=9, flash_kb=2)  # up to 8 channels: see `space`


def space(widest, height=32):
    """A convolution to a number of channels. Input and output need 1 + width KiB at height 32."""

    def build(trial):
        width = trial.suggest_int("width", 1, widest)
        return nn.Conv2d(1, width, 3, padding=1)

    return optnas.FunctionSpace(build, torch.zeros(1, 1, height, 32))


def search(**settings):
    given = {"space": space(16), "evaluator": lambda model, recipe, report: 1.0, "seed": 0}
    return optnas.Search(**given | {"objectives": {"loss": "minimize"}} | settings)


def test_the_share_and_the_macs_of_what_fits():
    found = optnas.fits(space(16), TARGET, n=60)
    (one,) = found.spaces
    assert one.drawn == 60
    assert one.share == len(one.macs) / 60
    assert 0.3 < one.share < 0.7  # 8 of 16 widths fit
    widths = {macs / (9 * 32 * 32) for macs in one.macs}
    assert widths <= set(range(1, 9))
    assert one.mean_macs == pytest.approx(sum(one.macs) / len(one.macs))
    assert one.quantile(0) == min(one.macs) <= one.quantile(0.5) <= max(one.macs)
    assert one.least["peak_activation_kib.int8"] == 2.0
    assert found == optnas.fits(space(16), TARGET, n=60)
    assert found != optnas.fits(space(16), TARGET, n=60, seed=1)
    assert "of 60 random networks fit; macs: mean" in str(found)


def test_the_space_with_the_largest_mean_of_macs_is_the_best():
    """At half of the height, 17 channels fit; their mean of macs is larger than that of 4.5."""
    spaces = {"32 rows": space(16), "16 rows": space(20, 16), "none": space(3, 500)}
    found = optnas.fits(spaces, TARGET, n=40)
    assert [one.label for one in found.spaces] == list(spaces)
    assert found.best.label == "16 rows"
    assert found.best.mean_macs > found.spaces[0].mean_macs
    assert found.spaces[2].share == 0
    assert math.isnan(found.spaces[2].mean_macs)
    figure = fits_figure(found)
    assert [trace.name.split(":")[0] for trace in figure.data] == ["32 rows", "16 rows"]
    for trace, one in zip(figure.data, found.spaces, strict=False):
        assert list(trace.x)[1:] == list(one.macs)
        assert trace.y[0] == 0
        assert trace.y[-1] == 1
    assert "16 rows" in figure.layout.title.text
    assert "nothing fits of: none" in figure.layout.legend.title.text


def test_nothing_that_fits_has_no_figure():
    found = optnas.fits(space(16), optnas.Target(1, 1), n=5)
    assert found.best is None
    with pytest.raises(InputError, match="no random network fits 1 KiB of RAM"):
        fits_figure(found)


def test_a_search_has_its_space_and_its_target():
    own = search(target=TARGET)
    assert optnas.fits(own, n=20).spaces == optnas.fits(own.space, TARGET, n=20).spaces
    assert optnas.fits(own, "stm32f746", n=3).target == optnas.Target(320, 1024)
    with pytest.raises(InputError, match="there is no target: give one"):
        optnas.fits(search(), n=3)
    with pytest.raises(InputError, match="the searches have different targets"):
        optnas.fits({"a": own, "b": search(target="rp2040")}, n=3)


def test_networks_that_do_not_run_are_counted_and_a_space_of_nothing_else_is_refused():
    def build(trial, most=1):
        width = trial.suggest_int("width", 0, most)
        if width == 0:
            raise TrialPruned("no network")
        return nn.Conv2d(1, width, 3)

    half = optnas.fits(optnas.FunctionSpace(build, torch.zeros(1, 1, 8, 8)), TARGET, n=20)
    assert 0 < half.spaces[0].failed == 20 - len(half.spaces[0].macs)
    broken = optnas.FunctionSpace(lambda t: build(t, 0), torch.zeros(1, 1, 8, 8))
    with pytest.raises(InputError, match=r"none of 3 random networks .* no network"):
        optnas.fits(broken, TARGET, n=3)


@pytest.mark.parametrize(
    ("spaces", "error", "message"),
    [
        ({}, InputError, "spaces is empty"),
        ({"a": 3}, TypeError, "a must be a SearchSpace or a Search, got 3"),
        (optnas.ParameterSpace({"a": [1, 2]}), InputError, "has no networks to count"),
    ],
)
def test_what_is_no_space_is_refused(spaces, error, message):
    with pytest.raises(error, match=message):
        optnas.fits(spaces, TARGET)


def test_a_run_of_a_space_of_which_nothing_fits_says_so_at_once(capsys):
    nothing = search(space=space(2, 500), target=TARGET, hours=1e-9)  # it ends at once
    nothing.run()
    said = capsys.readouterr().err
    assert "none of 50 random networks fits 9 KiB of RAM, 2 KiB of flash" in said
    assert "the least peak_activation_kib.int8 is 31.25, its bound 9" in said
    replace(nothing, space=space(16), name="some").run()
    assert "random networks" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "values"),
    [
        (optnas.fits, {}),
        (optnas.Target, {}),
        (Int8PeakActivation, {"found": {"peak_activation_kib.int8": 11.0}}),
        (Int8Flash, {"found": {"flash_kib.int8": 1.015625}}),
    ],
)
def test_examples_of_docstrings_run(what, values):
    names = {}
    exec(textwrap.dedent(BLOCK.search(inspect.getdoc(what))[1]), names)
    assert {name: names[name] for name in values} == values


def test_the_command_shows_what_fits(optnas, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch, optnas\n"
        "def build(trial):\n"
        "    return torch.nn.Conv2d(1, trial.suggest_int('width', 1, 16), 3, padding=1)\n"
        "space = optnas.FunctionSpace(build, torch.zeros(1, 1, 32, 32))\n"
        "search = optnas.Search(space=space, evaluator=lambda m, r, report: 1.0,\n"
        "    objectives={'loss': 'minimize'})\n"
    )
    arguments = ("fits", "mine.py", "-n", 10, "--html", "fits.html")
    code, out, _ = optnas(*arguments, "--target", "ram_kb=9,flash_kb=2")
    assert code == 0
    assert "what fits 9 KiB of RAM, 2 KiB of flash" in out
    assert "mine" in out
    assert (tmp_path / "fits.html").stat().st_size > 1000
    code, _, err = optnas(*arguments)
    assert code == 2
    assert "there is no target: give one, such as --target stm32f746" in err
    code, _, err = optnas(*arguments, "--target", "rp2041")
    assert code == 2
    assert "did you mean rp2040" in err
