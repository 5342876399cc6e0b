"""One more evaluation of a finished trial's network, for `confirm` and `retrain`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna import TrialPruned

from optnas.candidate import Candidate
from optnas.devices.device import release_memory
from optnas.errors import CandidateError, InputError, NetworkError, fault_of_candidate
from optnas.evaluators import Evaluator
from optnas.evaluators.evaluation import finite, promised, reporting, tested
from optnas.metrics import Metric
from optnas.utils.progress_bar import Steps
from optnas.utils.text import named_numbers


def evaluate_again(
    evaluator: Evaluator,
    candidate: Candidate,
    recipe: Any,
    device: str,
    *,
    about: str,
    advice: str,
    display: Steps,
    metrics: Sequence[Metric] = (),
    folder: Path | None = None,
    final: bool = False,
    took: Callable[[float], None] | None = None,
) -> tuple[dict[str, float], str]:
    """Evaluates a candidate, and shows each epoch.

    Args:
        evaluator: The evaluator.
        candidate: A fresh candidate; its model is trained.
        recipe: The evaluator's recipe.
        device: The study's device.
        about: Names this evaluation on the display and in errors.
        advice: What to do when memory runs out.
        display: Where progress is shown.
        metrics: Measured before the evaluation.
        folder: Where the evaluator keeps a checkpoint.
        final: Whether it is a final training: then all scores on the test part are kept.
        took: Called at the end with the seconds that the evaluation took.

    Returns:
        Metrics and scores by name, and an empty string; or, where the evaluation failed, nothing
        and the reason. No value is NaN or infinite.

    Raises:
        InputError: Memory ran out. That is a property of the machine, so it isn't kept as a result.
    """
    epochs = evaluator.fingerprint.get("epochs")
    of = "" if epochs is None else f" of {epochs}"

    def show(epoch: int, scores: Mapping[str, float]) -> None:
        display.running(f"{about}, epoch {epoch + 1}{of}, {named_numbers(scores, ', ')}")

    try:
        values = {m.name: finite(m.name, m.measure(candidate)) for m in metrics}
        with reporting(
            evaluator,
            device,
            candidate,
            listeners=[show],
            folder=folder,
            final=final,
            took=took,
        ) as report:
            scores = evaluator.evaluate(candidate, recipe, report)
        return values | dict(tested(scores) if final else promised(evaluator, scores)), ""
    except (CandidateError, NetworkError, TrialPruned) as error:
        return {}, str(error) or "the evaluator ended it"
    except Exception as error:
        reason = fault_of_candidate(error)
        if reason is None:
            raise
        release_memory(error)
        raise InputError(f"{about}: {reason}. {advice}") from error
