"""The final training of a trial's network, and its scores on the test part."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial
from safetensors import SafetensorError

from optnas.candidate import Candidate
from optnas.datasets.dataset import moments_json
from optnas.devices.device import cpu_threads, device_name
from optnas.errors import InputError
from optnas.evaluators.abilities import data_of, retraining_of
from optnas.evaluators.evaluation import training_device
from optnas.finished.alike import say_if_alike
from optnas.finished.decode import SPACE, accepted_changes, decode, fresh_candidate, recipe_of
from optnas.finished.evaluate import evaluate_again
from optnas.objective.objective import Objective
from optnas.pareto.find_trial import complete_trial
from optnas.search.search import Search
from optnas.study.attributes import RECIPE
from optnas.study.folders import RETRAINED, own_files
from optnas.study.retrainings import Retrained, Run, keep_run, others_tested, retrained
from optnas.study.seeds import study_seed
from optnas.study.trial_order import place
from optnas.utils.progress_bar import Steps
from optnas.utils.terminal import Terminal
from optnas.utils.text import duration, named_numbers
from optnas.utils.versions import versions
from optnas.utils.weights_file import check_weights, is_plain, save_weights, sha256
from optnas.utils.whole_file import whole_file


def retrain(
    study: Study,
    search: Search,
    trial: int,
    *,
    epochs: int | None = None,
    seeds: int = 3,
    progress: bool = True,
    accept_changes: bool = False,
) -> Retrained:
    """Trains a trial's network from scratch on the training and validation parts together.

    Each seed is one training with the trial's recipe, and is scored on the test part once, after
    the last epoch. After each seed, weights and scores are kept: the weights and `results.json` in
    the folder `NAME_retrained`, the scores also in the study, as the attribute `retrained:TRIAL`.
    Seeds that are finished with the same settings aren't trained again. An interrupted training
    resumes from its last checkpoint.

    Args:
        study: The study.
        search: The search that it was run with.
        trial: The number of a COMPLETE trial.
        epochs: Passes over the data; by default as many as in the search.
        seeds: Number of trainings, earlier ones included.
        progress: Whether to show progress.
        accept_changes: Whether to continue although settings differ from the study's.

    Returns:
        All runs with these settings, and their mean ± standard deviation. A seed that diverged has
        no scores but a reason; no score is NaN.

    Raises:
        InputError: There is no such trial, its evaluator can't retrain, the code has changed since,
            memory ran out, or the folder can't be written.

    Example:
        ```python
        import optnas

        search = optnas.load_search("study.py")
        result = optnas.retrain(search.run(), search, trial=7, epochs=100)
        print(result.spreads()["test_accuracy"])
        ```
    """
    if seeds < 1:
        raise InputError(f"seeds must be at least 1, got {seeds}")
    work = _Retraining(study, search, complete_trial(study, trial), epochs, accept_changes)
    missing = work.missing(seeds)
    console = Terminal(stderr=True, quiet=not progress)
    with cpu_threads(search.threads), Steps(len(missing), "seeds", console) as display:
        display.say(others_tested(study, trial, work.settings))
        for k in missing:
            work.run(k, display)
    result = work.result()
    say_if_alike(work.evaluator, {trial: [run.scores for run in result.runs if run.scores]})
    return result


class _Retraining:
    """The retraining of one trial's network with fixed settings, seed by seed."""

    def __init__(
        self,
        study: Study,
        search: Search,
        trial: FrozenTrial,
        epochs: int | None,
        accept_changes: bool,
    ) -> None:
        self._study = study
        self._trial = trial
        self._objective = search.objective()
        self.evaluator = retraining_of(self._objective.evaluator, epochs)
        self._device = training_device(self.evaluator, self._objective.device)
        accepted_changes(
            study,
            search,
            self._objective,
            concerns=lambda key: key == SPACE or key.startswith("evaluator"),
            accept=accept_changes,
        )
        architecture = str(decode(self._objective, trial))
        if not accept_changes:
            _check_recipe(self._objective, trial)
        self._recipe = recipe_of(self.evaluator, trial)
        fingerprint = {k: str(v) for k, v in self.evaluator.fingerprint.items()}
        at = place(trial, study.get_trials(deepcopy=False))
        seed = study_seed(study, self._objective.seed)
        decides = (seed, at, architecture, str(self._recipe), sorted(fingerprint.items()))
        self.settings = hashlib.sha256(repr(decides).encode()).hexdigest()[:8]
        """A hash of everything that decides the outcome, except the number of the seed."""
        self._blank = Run(self.settings, architecture, str(self._recipe), fingerprint, 0, 0)
        self._root = own_files(study, search.location).path(RETRAINED)
        epochs_of = f"_{fingerprint['epochs']}epochs" if "epochs" in fingerprint else ""
        self._folder = f"trial{trial.number}{epochs_of}_{self.settings}"

    def _found(self) -> Retrained | None:
        key = (self._trial.number, self.settings)
        return next((r for r in retrained(self._study) if (r.trial, r.settings) == key), None)

    def result(self) -> Retrained:
        """All runs with these settings; there must be one."""
        found = self._found()
        assert found is not None
        return found

    def missing(self, seeds: int) -> list[int]:
        """The seeds to train: those without scores or weights. One that diverged would again."""
        found = self._found()
        done = {
            run.number
            for run in (found.runs if found else ())
            if run.failure or (run.weights and (self._root / run.weights).is_file())
        }
        return [k for k in range(seeds) if k not in done]

    def run(self, k: int, display: Steps) -> None:
        """Trains with one seed, and keeps the outcome."""
        folder = self._root / self._folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"can't write to {folder}: {error.strerror}") from error
        candidate = fresh_candidate(self._objective, self._study, self._trial, "retrain", k)
        try:
            check_weights(candidate.model.state_dict())  # not after hours of training
        except InputError as error:
            raise InputError(f"trial {self._trial.number} can't be retrained: {error}") from error
        run = replace(self._blank, number=k, seed=candidate.seed)
        run = self._trained(candidate, run, folder / f"seed{k}", display)
        try:
            if run.scores:
                state = candidate.model.state_dict()
                name = f"seed{k}.{'safetensors' if is_plain(state) else 'pt'}"
                with whole_file(folder / name) as part:
                    save_weights(state, part, self._metadata(run))
                    digest = sha256(part)
                run = replace(run, weights=f"{self._folder}/{name}", sha256=digest)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"the scores of seed {k} are kept, but its weights can't be written to {folder} "
                f"({error}): free some space, and repeat the command"
            ) from error
        finally:
            keep_run(self._study, self._trial.number, run)
        shutil.rmtree(folder / f"seed{k}", ignore_errors=True)
        self._write_results(folder / "results.json")
        display.done(_line(run))

    def _trained(self, candidate: Candidate, run: Run, checkpoint: Path, display: Steps) -> Run:
        seconds: list[float] = []
        scores, failure = evaluate_again(
            self.evaluator,
            candidate,
            self._recipe,
            self._objective.device,
            about=f"seed {run.number}",
            advice="Give another `device=`; finished seeds are kept",
            display=display,
            folder=checkpoint,
            final=True,
            took=seconds.append,
        )
        return replace(
            run,
            scores=scores,
            failure=failure,
            train_seconds=seconds[0],
            device=f"{self._device} ({device_name(self._device)})",
            versions=versions(),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _write_results(self, path: Path) -> None:
        content = {"study": self._study.study_name, **self.result().summary()}
        try:
            with whole_file(path) as part:
                part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
        except OSError as error:
            raise InputError(
                f"the scores are kept in the study, but can't be written to {path}: "
                f"{error.strerror}"
            ) from error

    def _metadata(self, run: Run) -> dict[str, str]:
        """Facts that stay with the weights."""
        return {
            "study": self._study.study_name,
            "trial": str(self._trial.number),
            "architecture": run.architecture,
            "recipe": run.recipe,
            "seed": str(run.number),
            **moments_json(data_of(self._objective.evaluator)),
        }


def _check_recipe(objective: Objective, trial: FrozenTrial) -> None:
    """Raises InputError unless the study file's recipe is the one that the trial had."""
    recipe = str(recipe_of(objective.evaluator, trial))
    stored = trial.user_attrs.get(RECIPE, recipe)
    if recipe != stored:
        raise InputError(
            f"trial {trial.number} was trained with {stored}, and today's study file gives "
            f"{recipe}: put it back, or continue with `accept_changes=True`"
        )


def _line(run: Run) -> str:
    outcome = named_numbers(run.scores) or f"failed: {run.failure}"
    return f"seed {run.number}  {outcome}  ({duration(run.train_seconds)})"
