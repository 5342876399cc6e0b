"""Loads a trial's trained weights: those of a retraining, or those of the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial
from torch import nn

from optnas.datasets.dataset import PREPARATION, moments_json
from optnas.errors import InputError
from optnas.evaluators.abilities import check_gives_weights, data_of, why_no_retraining
from optnas.evaluators.base import Evaluator
from optnas.finished.decode import SPACE, accepted_changes
from optnas.finished.scored_again import origin_of_weights
from optnas.objective.objective import Objective
from optnas.search.search import Search
from optnas.study.attributes import RECIPE
from optnas.study.folders import RETRAINED
from optnas.study.retrainings import Retrained, Run, retrained
from optnas.utils.weights_file import WeightsFileError, load_into, sha256

SOURCES = ("retrained", "search")


@dataclass(frozen=True)
class Weights:
    """Where the weights of a network come from.

    Attributes:
        recipe: The recipe of their training.
        moments: What inputs and targets were normalised with, as `moments_json` writes it.
        retraining: The retraining that they come from; None for weights of the search.
        run: The run of that retraining.
        origin: For weights of the search: what is known of their scores.
        hashed: Whether the file was compared with a hash that was kept when it was written.
    """

    recipe: str
    moments: Mapping[str, str]
    retraining: Retrained | None = None
    run: Run | None = None
    origin: str = ""
    hashed: bool = False

    def __str__(self) -> str:
        if self.run is None or self.retraining is None:
            return "those of the search"
        return (
            f"retrained on the training and validation parts, {self.retraining.epochs}, "
            f"seed {self.run.number} of {len(self.retraining.runs)}"
        )


def check_source(source: str | None) -> None:
    """Raises InputError unless trained weights may come from this source; None is any."""
    if source not in (None, *SOURCES):
        raise InputError(f"weights must be retrained or search, got {source!r}")


def load_weights(
    study: Study,
    search: Search,
    objective: Objective,
    trial: FrozenTrial,
    model: nn.Module,
    *,
    source: str | None = None,
    accept_changes: bool = False,
) -> Weights:
    """Loads trained weights of a trial into its network.

    Of several retrained networks the first seed's weights are taken. Taking those with the best
    test scores would choose by the test part.

    Args:
        study: The study.
        search: The search that it was run with.
        objective: The search's objective.
        trial: The trial.
        model: The trial's network, into which the weights are loaded.
        source: `retrained` or `search`; by default the last retraining if there is one, else the
            search, which keeps the weights of the front.
        accept_changes: Whether to continue although the code of the search space, or for weights of
            the search the data, differs from the study's.

    Raises:
        InputError: There are no such weights, they don't fit the network, or something differs.
    """
    check_source(source)
    found = [r for r in retrained(study) if r.trial == trial.number and any(_kept(r))]
    if source == "retrained" and not found:
        raise InputError(
            f"trial {trial.number} has no retrained weights: "
            + _way_out(objective.evaluator, "makes some")
        )
    use_search = source == "search" or not found
    matter = (SPACE, "evaluator data") if use_search else (SPACE,)
    accepted_changes(
        study, search, objective, concerns=lambda key: key in matter, accept=accept_changes
    )
    try:
        if use_search:
            return _of_search(study, objective, trial, model)
        run = _kept(found[-1])[0]
        path = search.files(study).path(RETRAINED) / run.weights
        if not path.is_file():
            raise InputError(
                f'{path} is gone: the same `optnas retrain` makes it again, `weights="search"` '
                "takes those of the search"
            )
        if run.sha256 and sha256(path) != run.sha256:
            raise InputError(
                f"{path} was changed since the training that its scores are of: put it back from a "
                "backup, or delete it, and the same `optnas retrain` makes it again"
            )
        metadata = load_into(model, path)
        named = {f"{of}_{what}" for of in "xy" for what in ("mean", "std")} | {PREPARATION}
        kept = {k: v for k, v in metadata.items() if k in named}
        return Weights(run.recipe, kept, found[-1], run, hashed=bool(run.sha256))
    except WeightsFileError as error:
        raise InputError(
            f"the weights of trial {trial.number} can't be read ({error}): "
            + _way_out(objective.evaluator, "makes others")
        ) from error
    except RuntimeError as error:  # PyTorch lists the missing and unexpected tensors
        raise InputError(
            f"the weights of trial {trial.number} don't fit the network that today's code makes: "
            "put the search space back as it was"
        ) from error


def _of_search(study: Study, objective: Objective, trial: FrozenTrial, model: nn.Module) -> Weights:
    if objective.evaluator.estimates and why_no_retraining(objective.evaluator):
        raise InputError(
            "there are no weights in this study: its scores are looked up, and nothing is trained"
        )
    check_gives_weights(objective.evaluator)
    objective.open_folders(study, write=False)
    try:
        if objective.weights is None:
            raise InputError("the search keeps none")
        objective.weights.weights_path(study, trial._trial_id)
    except InputError as error:
        raise InputError(
            f"there are no trained weights of trial {trial.number} ({error}): "
            + _way_out(objective.evaluator, "makes some")
        ) from error
    objective.weights.load(study, trial._trial_id, model)
    return Weights(
        trial.user_attrs.get(RECIPE, ""),
        moments_json(data_of(objective.evaluator)),
        origin=origin_of_weights(objective, trial, model),
        hashed=objective.weights.check(study, trial._trial_id),
    )


def _way_out(evaluator: Evaluator, does: str) -> str:
    """What makes weights; or why nothing does, and what the evaluator lacks for that."""
    return why_no_retraining(evaluator) or f"`optnas retrain` {does}"


def _kept(retraining: Retrained) -> list[Run]:
    return [run for run in retraining.runs if run.weights]
