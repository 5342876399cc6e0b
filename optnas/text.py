"""Numbers as people read them."""

import math
from collections.abc import Collection

MACS = (
    "multiply-accumulates of convolutions, matrix products, recurrent layers and attention for one "
    "example; no bias, normalisation, activation, pooling or softmax"
)


def definitions(names: Collection[str]) -> str:
    """What macs and flops count, where one of them is among the names; else empty."""
    if "flops" in names:
        return f"flops = 2 · macs; macs = {MACS}"
    return f"macs = {MACS}" if "macs" in names else ""


def duration(seconds: float) -> str:
    """Seconds as `0:07`, `12:30` or `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def number(value: float) -> str:
    """A number for a table: whole ones whole, others to four digits."""
    return (
        f"{value:,.0f}"
        if math.isfinite(value) and value == round(value) and abs(value) < 1e15
        else f"{value:.4g}"
    )
