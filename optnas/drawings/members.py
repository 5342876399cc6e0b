"""Drawings of a study's networks, in one scale."""

from __future__ import annotations

from collections.abc import Iterable

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.drawings.blocks import ArchitectureDrawing, drawing
from optnas.drawings.svg import Largest, drawing_svg, refusal_svg
from optnas.errors import InputError
from optnas.finished.decode import decode
from optnas.objective.objective import Objective
from optnas.pareto.front import front
from optnas.search.search import Search


def drawings_of(
    study: Study,
    search: Search | Objective,
    trials: Iterable[int] | None = None,
    *,
    width: int = 700,
) -> dict[int, str]:
    """An SVG for each trial, all in one scale.

    If today's code doesn't make a trial's network any more, its drawing gives the reason.

    Args:
        study: The study.
        search: The search that the study was run with, or its objective.
        trials: Numbers of trials; by default the members of the front.
        width: Width of a drawing, in pixels.

    Returns:
        SVG elements by the trials' numbers.

    Raises:
        InputError: There is no such trial.
    """
    objective = search if isinstance(search, Objective) else search.objective()
    every = study.get_trials(deepcopy=False)
    numbers = [t.number for t in front(study)] if trials is None else list(trials)
    unknown = sorted(set(numbers) - {t.number for t in every})
    if unknown:
        raise InputError(
            f"study {study.study_name!r} has no trial {unknown[0]}: it has {len(every)}, from 0"
        )
    drawn: dict[int, ArchitectureDrawing] = {}
    refused: dict[int, str] = {}
    for number in numbers:
        try:
            drawn[number] = _drawing(objective, every[number])
        except Exception as error:  # the user's code makes the network
            refused[number] = str(error) or type(error).__name__
    largest = Largest(
        max((d.macs for d in drawn.values()), default=0),
        max((d.params for d in drawn.values()), default=0),
    )
    return {
        number: drawing_svg(drawn[number], width=width, largest=largest)
        if number in drawn
        else refusal_svg(f"trial {number}", refused[number], width=width)
        for number in numbers
    }


def _drawing(objective: Objective, trial: FrozenTrial) -> ArchitectureDrawing:
    candidate = decode(objective, trial)
    name = f"trial {trial.number}: {candidate}"
    return drawing(candidate.model, candidate.example_inputs, name)
