"""Formats numbers and durations for people."""

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping

MACS = (
    "multiply-accumulates of convolutions, matrix products, recurrent layers and attention for the "
    "example inputs; no bias, normalisation, activation, pooling or softmax"
)

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{4,}\b")
"""An address in memory, as the default `repr` of an object shows it."""
LISTED, SOME = 30, 5
"""This number of names is listed; of more, only some."""


def definitions(names: Collection[str]) -> str:
    """Defines macs or flops if one of them is among the names; else empty."""
    if "flops" in names:
        return f"flops = 2 · macs; macs = {MACS}"
    return f"macs = {MACS}" if "macs" in names else ""


def duration(seconds: float) -> str:
    """Seconds as `0:07`, `12:30` or `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def number(value: float) -> str:
    """A number for a table: whole numbers in full, others with four significant digits."""
    if not math.isfinite(value) or abs(value) >= 1e15:
        return f"{value:.4g}"
    rounded = value if value == round(value) else float(f"{value:.4g}")
    return f"{rounded:,.0f}" if value == round(value) or abs(rounded) >= 1000 else f"{rounded:.4g}"


def named_numbers(values: Mapping[str, float], between: str = "  ") -> str:
    """Numbers with their names: `val_loss 0.1234  params 1,234`."""
    return between.join(f"{name} {number(value)}" for name, value in values.items())


def there_are(given: object, known: Collection[str]) -> str:
    """The names that there are (see `listed`), and those that an unknown one may mean."""
    return f"there are: {listed(known) or 'none'}{did_you_mean(given, known)}"


def listed(names: Collection[str]) -> str:
    """Names with commas between; of many, the first and how many more there are."""
    if len(names) <= LISTED:
        return ", ".join(names)
    return f"{', '.join(list(names)[:SOME])} and {len(names) - SOME} more"


def did_you_mean(given: object, known: Collection[str]) -> str:
    """The known names that an unknown one may be a slip of, in brackets; empty if there are none.

    The nearest comes first, and upper case counts as lower case.
    """
    lower = {name.lower(): name for name in known}
    close = [lower[name] for name in difflib.get_close_matches(str(given).lower(), lower, 3)]
    if not close:
        return ""
    *others, last = close
    return f" (did you mean {', '.join(others) + ' or ' if others else ''}{last}?)"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 trial`, `2 trials`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def architectures_text(size: str) -> str:
    """A space's size in words (see `SpaceSize`) with what is counted, and why it can't be."""
    count, _, why = size.partition(" (")
    if count == "infinite":
        return f"infinitely many architectures: {why.rstrip(')')}"
    return f"number of architectures {size}" if count == "unknown" else f"{size} architectures"


def ranges(numbers: Iterable[int], most: int = 40) -> str:
    """Ascending numbers as `1, 3–7, 9`; from the `most`-th piece on, how many more there are."""
    pieces: list[list[int]] = []
    for n in numbers:
        if pieces and n == pieces[-1][-1] + 1:
            pieces[-1] = [pieces[-1][0], n]
        else:
            pieces.append([n, n])
    text = ", ".join(
        str(a) if a == b else f"{a}, {b}" if b == a + 1 else f"{a}–{b}" for a, b in pieces[:most]
    )
    rest = sum(b - a + 1 for a, b in pieces[most:])
    return f"{text} and {number(rest)} more" if rest else text
