"""Bounds for a microcontroller: RAM, flash, and multiply-accumulates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from optnas.errors import InputError
from optnas.metrics.base import Metric
from optnas.metrics.int8 import ORDERS, Int8Flash, Int8PeakActivation, Order
from optnas.utils.text import there_are

NONE = "none"
"""The text of no target, in place of a study file's."""


@dataclass(frozen=True)
class Target:
    """What a microcontroller has for an int8 network: bounds for a search.

    A `Search` with a target trains nothing that is over one of its bounds. They are constraints on
    the metrics `peak_activation_kib.int8` (see `optnas.metrics.Int8PeakActivation`),
    `flash_kib.int8` (see `optnas.metrics.Int8Flash`) and `macs`. What the runtime itself takes (its
    code, its stack, buffers of its kernels) isn't in those metrics: subtract it here.

    Example:
        ```python
        import optnas

        target = optnas.Target(ram_kb=320, flash_kb=1024, macs=50e6)
        target.constraints
        # {"peak_activation_kib.int8": 320.0, "flash_kib.int8": 1024.0, "macs": 50000000.0}
        ```

    Attributes:
        ram_kb: RAM for the network's tensors, in kibibytes (1024 bytes).
        flash_kb: Flash for the network's weights, in kibibytes (1024 bytes).
        macs: The largest number of multiply-accumulates; None sets no bound.
        order: The order of the operations for which the RAM is counted: `best`, the one that needs
            least; or `own`, that of the network's code, in which a runtime runs the graph that was
            exported.

    Raises:
        ValueError: A bound isn't a finite number above 0, or there is no such order.
    """

    ram_kb: float
    flash_kb: float
    macs: float | None = None
    order: Order = "best"

    def __post_init__(self) -> None:
        bounds = {"ram_kb": self.ram_kb, "flash_kb": self.flash_kb}
        for name, value in (bounds | {"macs": 1 if self.macs is None else self.macs}).items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not 0 < value < math.inf:
                raise InputError(f"a target's {name} must be a number above 0, got {value!r}")
        if self.order not in ORDERS:
            raise InputError(
                f"a target's order must be one of {', '.join(ORDERS)}, got {self.order!r}"
            )

    @property
    def constraints(self) -> dict[str, float]:
        """The bounds by the names of the metrics, as `Search(constraints=…)` takes them."""
        found = {Int8PeakActivation.name: float(self.ram_kb), Int8Flash.name: float(self.flash_kb)}
        return found | ({} if self.macs is None else {"macs": float(self.macs)})

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that the bounds need in addition to the standard ones."""
        return () if self.order == "best" else (Int8PeakActivation(self.order),)

    def __str__(self) -> str:
        text = f"{self.ram_kb:g} KiB of RAM, {self.flash_kb:g} KiB of flash"
        return text if self.macs is None else f"{text}, {self.macs:,.0f} macs"


BOARDS: Mapping[str, Target] = MappingProxyType(
    {
        "arduino_nano_33_ble": Target(256, 1024),
        "esp32s3": Target(512, 8192),
        "rp2040": Target(264, 2048),
        "stm32f412": Target(256, 1024),
        "stm32f746": Target(320, 1024),
        "stm32f765": Target(512, 2048),
        "stm32h743": Target(512, 2048),
    }
)
"""Targets by the names of boards; docs/targets.md has the sources."""


def as_target(given: object) -> Target | None:
    """A target, that of a board's name, or one in words; None stays.

    Args:
        given: A `Target`; the name of a board; `ram_kb=256,flash_kb=900,macs=3e7`; or `none`.

    Raises:
        InputError: There is no such board, or the words name no target.
        TypeError: It is something else.
    """
    if given is None or isinstance(given, Target):
        return given
    if not isinstance(given, str):
        raise TypeError(f"target must be an optnas.Target or the name of a board, got {given!r}")
    if given == NONE:
        return None
    if given in BOARDS:
        return BOARDS[given]
    if "=" not in given:
        raise InputError(
            f"unknown board {given!r}; {there_are(given, BOARDS)}. For another one give its "
            "memory: `target='ram_kb=256,flash_kb=900'` (in kibibytes)"
        )
    return _parsed(given)


def _parsed(text: str) -> Target:
    names = [field.name for field in fields(Target)]
    found: dict[str, float | str] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in names or name in found:
            what = "is given twice" if name in found else f"is unknown; {there_are(name, names)}"
            raise InputError(f"target {text!r}: {name!r} {what}")
        try:
            found[name] = value if name == "order" else float(value)
        except ValueError as error:
            raise InputError(f"target {text!r}: {name} must be a number, got {value!r}") from error
    for name in ("ram_kb", "flash_kb"):
        if name not in found:
            raise InputError(f"target {text!r} must give {name}, in kibibytes")
    return Target(**found)  # type: ignore[arg-type]


def target_text(target: Target | None) -> str:
    """A target as `as_target` reads it."""
    if target is None:
        return NONE
    values = {field.name: getattr(target, field.name) for field in fields(Target)}
    return ",".join(f"{name}={value}" for name, value in values.items() if value is not None)


def bounds_of(constraints: Mapping[str, float], target: Target | None) -> dict[str, float]:
    """Constraints and the bounds of a target by name: of two on one name, the tighter."""
    bounds = dict(constraints)
    for name, bound in (target.constraints if target else {}).items():
        bounds[name] = min(bound, bounds.get(name, bound))
    return bounds
