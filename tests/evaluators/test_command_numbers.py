"""The numbers that a command evaluator reads in what a command prints."""

import math

import pytest

from optnas.errors import CommandError, InputError
from optnas.evaluators.command.patterns import NumberPattern

NUMBERS = {
    "val loss 4.25": 4.25,
    "val loss 1e-3,": 1e-3,
    "val loss 2.345e+00": 2.345,
    "val loss 4.": 4.0,
    "val loss 0.25.": 0.25,
    "val loss nan": math.nan,
    "val loss -inf": -math.inf,
    "val loss Infinity": math.inf,
    "val loss 12%": 12.0,
}


@pytest.mark.parametrize("pattern", [r"val loss ([\d.]+)", r"val loss (\S+)", r"loss (?P<x>.*)"])
@pytest.mark.parametrize("line", NUMBERS)
def test_numbers_are_read_as_far_as_they_go(pattern, line):
    ((_, number),) = NumberPattern("val_loss", pattern).find(f"step 3: {line}")
    assert number == pytest.approx(NUMBERS[line], nan_ok=True)


def test_a_word_that_begins_like_nan_is_none():
    assert not list(NumberPattern("x", r"val loss ([\d.]+)").find("val loss nano 3, inform 4"))


def test_brackets_before_the_group_are_no_group():
    pattern = NumberPattern("x", r"[](](?:a|b)\((?=.)([\d.]+)\)")
    assert [n for _, n in pattern.find("]a(1.5) (b(nan)")] == pytest.approx(
        [1.5, math.nan], nan_ok=True
    )


@pytest.mark.parametrize("pattern", ["val loss", r"(a)(\d)", "(", None, b"(1)"])
def test_a_pattern_has_one_group(pattern):
    with pytest.raises(InputError, match="the pattern of val_loss must"):
        NumberPattern("val_loss", pattern)


@pytest.mark.parametrize("line", ["loss=abc", "loss=1,234", "loss=1.2.3", "loss="])
def test_what_is_no_number_is_never_read_as_one(line):
    with pytest.raises(CommandError, match="which is no number"):
        list(NumberPattern("loss", "loss=(.*)").find(line))


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"loss.*([\d.]+)", "loss 0.25"),
        (r"loss.*([\d.]+)", "loss 97.5"),
        (r"loss\D*([\d.]+)", "loss .25"),
        (r"loss\D*([\d.]+)", "loss: -0.25"),
        (r"([\d.]+) loss", "1e-3 loss"),
    ],
)
def test_the_rest_of_a_number_is_never_read_as_one(pattern, line):
    with pytest.raises(CommandError, match="which is the rest of a number"):
        list(NumberPattern("loss", pattern).find(line))


@pytest.mark.parametrize(
    ("pattern", "line", "value"),
    [
        (r"loss-(\S+)", "loss-0.25", 0.25),
        (r"loss\.*(\S+)", "loss...0.25", 0.25),
        (r"-> (\S+)", "0.5 -> 0.25", 0.25),
        (r"epoch 0*(\d+)", "epoch 0012", 12),
        (r"epoch1-(\d+)", "epoch1-3", 3),
    ],
)
def test_what_is_no_number_may_stand_in_front_of_one(pattern, line, value):
    assert [number for _, number in NumberPattern("loss", pattern).find(line)] == [value]


def test_a_step_may_follow_a_point():
    found = NumberPattern("step", r"epoch \d+\.(\d+)", whole=True).find("epoch 1.300")
    assert [number for _, number in found] == [300]
