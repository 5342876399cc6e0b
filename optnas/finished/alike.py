"""Says so where fresh seeds change no score: then they don't show how much luck is in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from optnas.evaluators import Evaluator

log = logging.getLogger("optnas")


def say_if_alike(evaluator: Evaluator, runs: Mapping[int, Sequence[Mapping[str, float]]]) -> None:
    """Warns of trials whose trainings with several seeds have exactly the same scores.

    Args:
        evaluator: It has trained them.
        runs: By the number of each trial, the scores with each seed.
    """
    if evaluator.estimates:  # its scores are looked up
        return
    same = [str(n) for n, found in runs.items() if len(found) > 1 and _are_alike(found)]
    if same:
        log.warning(
            "trial%s %s: every seed gave exactly the same scores, so they don't show how much luck "
            "is in them. The training code seems to set a seed of its own: let it take the "
            "trial's, which is {seed} in a command, and torch.initial_seed() in a function",
            "s" * (len(same) > 1),
            ", ".join(same),
        )


def _are_alike(found: Sequence[Mapping[str, float]]) -> bool:
    return bool(found[0]) and all(scores == found[0] for scores in found)
