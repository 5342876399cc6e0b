"""Reads the scores of epochs in the lines that a command prints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from optnas.errors import CommandError, InputError
from optnas.study.objectives import Direction

_NOT_FINITE = r"[-+]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)(?!\w)"
_MISSING = r"(?<!\w)(?:null|None)(?!\w)"
_WORD = rf"{_NOT_FINITE}|{_MISSING}"
_NUMBER = re.compile(rf"{_WORD}|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
Row = dict[str, float]


class NumberPattern:
    r"""A regular expression whose one group begins where a number begins.

    The whole number is read from there, as far as it goes: `([\d.]+)` finds 1e-3, too, and 0.25 at
    the end of a sentence. It also finds nan and inf, which no pattern of digits matches: a training
    that has diverged would seem to have the score of an earlier epoch. `null` and `None`, which
    stand for a missing number, are nan.

    Args:
        name: Of the number, for messages.
        text: The pattern.

    Raises:
        InputError: It is no pattern, or hasn't exactly one group.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        try:
            given = re.compile(str(text))
        except re.error as error:
            raise InputError(
                f"the pattern of {name} must be a regular expression, got {text!r}: {error}"
            ) from error
        if given.groups != 1 or not isinstance(text, str):
            raise InputError(
                f"the pattern of {name} must have one group, around the number, got {text!r} with "
                f"{given.groups}: brackets that aren't for the number are (?:…) for a group and "
                r"\( for a bracket"
            )
        self.text = text
        at = _inside_of_group(self.text)
        self._pattern = re.compile(f"{self.text[:at]}{_WORD}|{self.text[at:]}")

    def find(self, line: str) -> Iterator[tuple[int, float]]:
        """The numbers in a line, each with its position.

        Raises:
            CommandError: The pattern matches where there is no number.
        """
        for match in self._pattern.finditer(line):
            text = match[1]
            if text is None:
                continue
            start = match.start(1) + len(text) - len(text.lstrip())
            number = _NUMBER.match(line, start)
            # "1,234" would be read as 1.
            if number is None or re.match(r"\S*\d", line[number.end() : match.end(1)]):
                raise CommandError(
                    f"the pattern {self.text!r} of {self._name} matches {text!r} in {line!r}, "
                    "which is no number: its group must begin where a number begins, and end there"
                )
            yield start, math.nan if re.fullmatch(_MISSING, number[0]) else float(number[0])


def _inside_of_group(pattern: str) -> int:
    """Where the contents of a pattern's one group begin."""
    skipped = r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?P<\w+>|(?!\?))"
    for found in re.finditer(skipped, pattern, re.DOTALL):
        if found[0].startswith("("):
            return found.end()
    raise AssertionError("there is a group")


class Epochs:
    """Gathers the scores of epochs from lines.

    An epoch has each score once at most: it is complete when all scores have a value, or when one
    of them comes again.

    Args:
        scores: The pattern of each score.
        step: The pattern of the number of the epoch, printed before its scores or in their line.
            Without it epochs are counted, from `first` on.
        first: The number of the first epoch.
    """

    def __init__(
        self, scores: Mapping[str, NumberPattern], step: NumberPattern | None, first: int = 0
    ) -> None:
        self._scores = scores
        self._step = step
        self._next = first
        self._row: Row = {}

    def read(self, line: str) -> Iterator[tuple[int, Row]]:
        """The epochs that a line completes."""
        found = sorted(
            (position, name, number)
            for name, pattern in self._scores.items()
            for position, number in pattern.find(line)
        )
        steps = [number for _, number in self._step.find(line)] if self._step else []
        if steps and math.isfinite(steps[-1]):
            if self._row and int(steps[-1]) != self._next:
                yield from self.rest()
            self._next = int(steps[-1])
        for _, name, number in found:
            if name in self._row:
                yield from self.rest()
            self._row[name] = number
            if len(self._row) == len(self._scores):
                yield from self.rest()

    def rest(self) -> Iterator[tuple[int, Row]]:
        """The epoch that isn't complete, if there is one."""
        if self._row:
            yield self._next, self._row
            self._row = {}
            if self._step is None:
                self._next += 1


def final_scores(
    rows: list[dict[str, float]], directions: Mapping[str, Direction], epoch: str
) -> Row:
    """The scores of a training: of each, the last one, or those of the best epoch.

    Args:
        rows: Its epochs, in order.
        directions: The direction of each score. The first one decides which epoch is the best.
        epoch: `last` or `best`.
    """
    scores = {name: row[name] for row in rows for name in directions if name in row}
    decides, direction = next(iter(directions.items()))
    sign = -1 if direction == "maximize" else 1
    finite = [row for row in rows if math.isfinite(row.get(decides, math.nan))]
    if epoch == "best" and finite:
        best = min(finite, key=lambda row: sign * row[decides])
        scores |= {name: best[name] for name in directions if name in best}
    return scores


def checked_scores(given: Any) -> tuple[dict[str, Direction], dict[str, NumberPattern]]:
    """The directions and the patterns of scores.

    Raises:
        InputError: They have another form.
    """
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"scores must be a dictionary with at least one score, got {given!r}")
    if "step" in given:
        raise InputError("a score can't be called 'step', as the number of an epoch is")
    for name, both in given.items():
        if not isinstance(both, tuple) or len(both) != 2 or both[0] not in ("minimize", "maximize"):
            raise InputError(
                f"the score {name!r} must be a direction and a pattern, such as "
                rf'("minimize", r"val loss (\S+)"), got {both!r}'
            )
    directions: dict[str, Direction] = {name: direction for name, (direction, _) in given.items()}
    return directions, {name: NumberPattern(name, text) for name, (_, text) in given.items()}
