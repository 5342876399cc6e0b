"""How long a trial of a search takes, estimated from one network."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple

from optnas.candidate import Candidate
from optnas.evaluators import (
    Evaluator,
    Quantized,
    Report,
    SharedWeightsEvaluator,
    TabularEvaluator,
    TrainingEvaluator,
)
from optnas.evaluators.abilities import training_of
from optnas.evaluators.rehearsal import Rehearsal, rehearse
from optnas.evaluators.supernet_settings import TRAININGS
from optnas.utils.text import duration, plural


class TrialTime(NamedTuple):
    """What scoring takes.

    Attributes:
        first: Seconds before the first trial, for weights that all networks share.
        each: Seconds that a trial's scoring takes.
        how: What was timed, and what wasn't.
    """

    first: float
    each: float
    how: str


def trial_time(evaluator: Evaluator, candidate: Candidate, recipe: Any) -> TrialTime | str:
    """The time to score one network; or why it isn't known, as a sentence.

    A network is trained for an epoch or for 4 seconds, where optnas trains it itself. The user's
    own training code isn't started.

    Args:
        evaluator: The evaluator.
        candidate: The network; it is trained in place.
        recipe: What the evaluator has suggested.

    Raises:
        InputError: Data, loss or recipe don't fit the network.
        CandidateError: The training diverged.
    """
    if isinstance(evaluator, TabularEvaluator):
        began = time.perf_counter()
        evaluator.evaluate(candidate, recipe, Report())
        return TrialTime(0.0, time.perf_counter() - began, "a score is looked up in a table")
    training = evaluator.training if isinstance(evaluator, Quantized) else training_of(evaluator)
    if not isinstance(training, TrainingEvaluator):
        return f"a {type(evaluator).__name__} runs your own code, which a dry run doesn't start"
    # That of shared weights has the epochs of fine-tuning, of which there may be none.
    found = rehearse(training, candidate, replace(recipe, epochs=training.epochs))
    if isinstance(evaluator, SharedWeightsEvaluator):
        return _shared(evaluator, training, found)
    how = _how(found)
    if isinstance(evaluator, Quantized):
        how += "; without the scores with 8-bit integers"
    return TrialTime(0.0, found.seconds, how)


def _how(found: Rehearsal) -> str:
    validation = (
        "and a validation that takes longer than 4 s each"
        if found.scoring_seconds is None
        else f"and {_seconds(found.scoring_seconds)} of validation each"
    )
    return (
        f"{plural(found.epochs, 'epoch')} of {_seconds(found.epoch_seconds)}, {validation} "
        f"({plural(found.batches, 'batch', 'batches')} timed)"
    )


def _shared(
    evaluator: SharedWeightsEvaluator, training: TrainingEvaluator, found: Rehearsal
) -> TrialTime:
    """The shared weights are trained first; a trial scores what it inherits."""
    first = (
        TRAININGS * training.epochs * found.epoch_seconds
        if evaluator.steps is None
        else evaluator.steps * evaluator.networks * found.batch_seconds
    )
    scoring = found.scoring_seconds or 0.0
    each = scoring + evaluator.finetune_epochs * (found.epoch_seconds + scoring)
    how = f"shared weights are trained for about {duration(first)} before the first trial"
    return TrialTime(first, each, how)


def _seconds(value: float) -> str:
    return f"{value:.2g} s" if value >= 1e-3 else f"{1e3 * value:.2g} ms"
