"""Targets: boards, words, and what is refused."""

import math

import pytest

import optnas
from optnas.errors import InputError
from optnas.metrics import Int8PeakActivation
from optnas.objective.target import BOARDS, as_target, bounds_of, target_text


def test_a_target_bounds_ram_and_flash_in_kibibytes_and_macs_if_given():
    assert optnas.Target(320, 1024).constraints == {
        "peak_activation_kib.int8": 320.0,
        "flash_kib.int8": 1024.0,
    }
    assert optnas.Target(320, 1024, macs=5e7).constraints["macs"] == 5e7
    assert str(optnas.Target(320, 1024, 5e7)) == (
        "320 KiB of RAM, 1024 KiB of flash, 50,000,000 macs"
    )


@pytest.mark.parametrize(
    "target", [*BOARDS.values(), optnas.Target(0.5, 3, 1e6, "own"), optnas.Target(1, 2), None]
)
def test_a_target_is_read_back_from_its_text(target):
    assert as_target(target_text(target)) == target
    assert as_target(target) is target


def test_a_board_has_a_name():
    assert as_target("stm32f746") == optnas.Target(ram_kb=320, flash_kb=1024)
    assert all(as_target(name) is BOARDS[name] for name in BOARDS)


def test_the_order_of_a_runtime_is_a_setting_of_the_metric():
    (metric,) = optnas.Target(1, 1, order="own").metrics
    assert metric.name == Int8PeakActivation.name
    assert metric.fingerprint == {"order": "own"}
    assert optnas.Target(1, 1).metrics == ()


def test_of_two_bounds_on_one_name_the_tighter_holds():
    target = optnas.Target(320, 1024, macs=100)
    given = {"macs": 50, "flash_kib.int8": 2000, "params": 7}
    assert bounds_of(given, target) == {
        "macs": 50,
        "flash_kib.int8": 1024,
        "params": 7,
        "peak_activation_kib.int8": 320,
    }
    assert bounds_of(given, None) == given


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stm32f764", r"unknown board 'stm32f764'; there are: .*\(did you mean .*stm32f746"),
        ("", "unknown board ''; there are: arduino_nano_33_ble, esp32s3"),
        ("ram=3,flash_kb=3", "'ram' is unknown; there are: ram_kb, flash_kb, macs, order"),
        ("ram_kb=3,ram_kb=4,flash_kb=1", "'ram_kb' is given twice"),
        ("ram_kb=many,flash_kb=1", "ram_kb must be a number, got 'many'"),
        ("ram_kb=3", "must give flash_kb, in kibibytes"),
        ("ram_kb=0,flash_kb=1", "ram_kb must be a number above 0, got 0.0"),
        ("ram_kb=1,flash_kb=nan", "flash_kb must be a number above 0, got nan"),
        ("ram_kb=1,flash_kb=1,order=worst", "order must be one of best, own, got 'worst'"),
    ],
)
def test_what_is_no_target_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        as_target(text)


@pytest.mark.parametrize("bad", [math.inf, -1, True, "320"])
def test_a_bound_that_is_no_number_above_zero_is_refused(bad):
    with pytest.raises(InputError, match="macs must be a number above 0"):
        optnas.Target(320, 1024, macs=bad)


def test_something_else_is_refused():
    with pytest.raises(TypeError, match=r"an optnas\.Target or the name of a board, got 320"):
        as_target(320)
