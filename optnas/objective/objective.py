"""The objective: one trial from its suggested architecture to its values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import BaseTrial, FrozenTrial, Trial

from optnas.candidate import Candidate
from optnas.evaluators.abilities import Prepared, bound, chance_of
from optnas.evaluators.base import Evaluator
from optnas.evaluators.evaluation import promised
from optnas.evaluators.function import Train
from optnas.evaluators.relaxed import Relaxation
from optnas.metrics import Metric
from optnas.objective.as_given import Names, as_given
from optnas.objective.asking import asking
from optnas.objective.baselines import hand_made, read_baselines
from optnas.objective.bounds import Bounds
from optnas.objective.checkpoint_folders import checkpoint_folder
from optnas.objective.choose_metrics import check_settings, choose_metrics
from optnas.objective.duplicates import Evaluated, await_same, reuse
from optnas.objective.early_stopping import EarlyStopping
from optnas.objective.folders import StudyFolders
from optnas.objective.front_weights import keep_or_check, say_which_weights
from optnas.objective.measure_costs import measure_costs
from optnas.objective.outcome import Details, outcome_stored
from optnas.objective.preview import Preview, Previews
from optnas.objective.run_evaluator import Listener, run_evaluator
from optnas.search_spaces import SearchSpace
from optnas.storage.place import place_of
from optnas.storage.shared_files import shared_files
from optnas.storage.together import together
from optnas.study import attributes as attr
from optnas.study.artifacts import WeightStore
from optnas.study.fingerprint import check_same_weights
from optnas.study.leases import lease
from optnas.study.objectives import Direction, name_objectives
from optnas.study.reference import Given, check_reference, keep_reference_point
from optnas.study.seeds import derived_seed, study_seed
from optnas.study.trial_order import place
from optnas.utils.random_state import preserved, seeded
from optnas.utils.silent import silent


class Objective:
    """Suggests, measures, trains and scores one architecture; goes into `study.optimize`.

    The steps of a trial:

    1. Architecture and recipe are drawn. If a COMPLETE trial has the same two, its values are
       reused (`duplicate_of`); if another worker is training the same now, the trial waits for its
       values.
    2. Metrics are measured, the cheapest first. A broken bound ends the trial as PRUNED.
    3. The evaluator trains and scores.

    All measured values are in the trial's user attributes, however it ends. If the architecture is
    at fault (its training diverged, say), the trial returns NaN, with the reason in `failure`.

    Example:
        ```python
        import optuna
        import optnas

        data = optnas.digits()
        objective = optnas.Objective(
            optnas.MacroCNNSpace(data.input_shape, data.outputs),
            optnas.TrainingEvaluator(data, epochs=1),
            ("val_loss", "params"),
        )
        study = optuna.create_study(directions=objective.directions)
        study.optimize(objective, n_trials=2)
        ```

    Args:
        space: The search space.
        evaluator: Trains and scores; or a function, `fn(model, recipe, report)` (see `Search`).
        objectives: Names of scores of the evaluator and of metrics; or directions by name.
        constraints: Bounds by name: an upper bound for what is minimised, a lower one for what is
            maximised.
        metrics: In addition to the standard ones (params, flops, …; docs/measurements.md lists
            them), or instead of one with the same name.
        baselines: Networks to compare with, by name: a function that builds one, an architecture of
            the space, or a trial's parameters. A trial with that name in its user attribute
            `baseline` evaluates one. Samplers learn from those that are in the space.
        weights: Folder for the trained weights of the front's members; None keeps none.
        checkpoints: Folder for the checkpoints of running trials, which the retries of lost trials
            resume from; None keeps none.
        shared: Folder for what the evaluator prepares, such as shared weights, and for checkpoints
            of a relaxed network; None keeps nothing.
        seed: Together with the trial's place, seeds weights, shuffling and dropout. By default it
            is the study's seed, or one is drawn and kept in the study.
        device: `auto`, `cpu`, `cuda`, …: for the metrics that depend on it.
        listeners: Called with trial, step and scores after every epoch; one may raise
            `optuna.TrialPruned`.
        early_stop: Whether to end a trial as PRUNED once its training can't reach the front any
            more (see `EarlyStopping`). Baselines are trained to the end.
        reference: What is worse than this in an objective gains nothing: limits by objective, such
            as `{"val_loss": 0.3, "latency_ms": 1}`, or the name of a baseline; `{}` for none.
            Without it, the worst values of the baselines are the limits. No limit is worse than
            chance (a constant prediction's score, where the evaluator knows it). optnas's samplers
            look for networks within the limits; the hypervolume is measured up to them.

    Raises:
        ValueError: A name is unknown, there are no objectives, or the space's inputs don't have the
            shape of the data.
        TypeError: An argument is of another type.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        evaluator: Evaluator | Train,
        objectives: Names,
        *,
        constraints: Mapping[str, float] | None = None,
        metrics: Iterable[Metric] = (),
        baselines: Mapping[str, Any] | None = None,
        weights: WeightStore | str | Path | None = None,
        checkpoints: str | Path | None = None,
        shared: str | Path | None = None,
        seed: int | None = None,
        device: str = "auto",
        listeners: Sequence[Listener] = (),
        early_stop: bool = False,
        reference: Given = "",
    ) -> None:
        metrics = tuple(metrics)
        evaluator, objectives = as_given(evaluator, objectives, metrics)
        check_settings(space, evaluator, objectives, constraints, early_stop)
        self.space = space
        self.shared = None if shared is None else Path(shared).absolute()
        self.evaluator = bound(evaluator, space, self.shared)
        self.objectives = tuple(objectives)
        self.constraints = dict(constraints or {})
        self.baselines, self.baseline_params = read_baselines(space, baselines or {})
        self.weights = WeightStore(weights) if isinstance(weights, (str, Path)) else weights
        self.checkpoints = None if checkpoints is None else Path(checkpoints).absolute()
        self.folders: StudyFolders | None = None  # in place of those three, set by a Search
        self.listeners = tuple(listeners)
        self.choosing: Callable[[int], None] = lambda number: None  # a run's display replaces it
        self.device = device
        self.metrics, self.known = choose_metrics(
            self.objectives, self.constraints, metrics, evaluator, space, device
        )
        check_reference(reference, self.objectives, list(self.baseline_params))
        self.reference = reference
        self.seed = seed
        directions = {name: self.known[name] for name in self.objectives}
        self._stopping = EarlyStopping(directions, evaluator.provides) if early_stop else None
        self._bounds = Bounds(self.constraints, self.known)
        self._previews = Previews(space, self.metrics, self.objectives, self._bounds)
        self._evaluated, self._told = Evaluated(), False
        self._study: Study | None = None
        self._study_seed = 0

    def __repr__(self) -> str:
        return f"Objective({self.space!r}, {self.evaluator!r}, {self.objectives})"

    @property
    def directions(self) -> list[Direction]:
        """The direction of each objective, for `optuna.create_study(directions=...)`."""
        return [self.known[name] for name in self.objectives]

    def open_folders(self, study: Study, *, write: bool = True) -> None:
        """Finds the folders of a study, if the objective keeps some for each (see `StudyFolders`).

        Args:
            study: The study.
            write: Whether the study is run; else it is only read.
        """
        if self.folders is not None and self.folders.open(study, write=write):
            self.weights, self.checkpoints = self.folders.weights, self.folders.checkpoints
            self.shared = self.folders.shared
            files = shared_files(study._storage, study._study_id) if write else None
            self.evaluator = bound(self.evaluator, self.space, self.shared, files)

    def prepare(
        self,
        report: Callable[[str], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> str:
        """Prepares the evaluator, if it is `Prepared`: see there.

        Returns:
            A hash of what all scores rest on; empty if there is no such work.
        """
        evaluator = self.evaluator
        return evaluator.prepare(report, stopped) if isinstance(evaluator, Prepared) else ""

    def preview(self, params: Mapping[str, Any]) -> Preview:
        """What is known before training of the architecture with these parameters of a trial."""
        return Preview(params, self._previews)

    @property
    def relaxation(self) -> Relaxation:
        """Trains a relaxed network for a `GradientSampler`: `train_with` takes it."""
        return Relaxation(self.space, self.evaluator, self.objectives, self.metrics, self.shared)

    def suggest(self, trial: BaseTrial) -> tuple[str, str]:
        """Draws all that a trial draws, and returns the strings of architecture and recipe."""
        with preserved(), silent():
            return str(self.space.suggest(trial)), str(self.evaluator.suggest(trial))

    def candidate(self, trial: BaseTrial, seed: int = 0) -> Candidate:
        """The candidate of a trial: drawn if the trial is running, decoded if it is finished."""
        example = self.space.example_inputs
        baseline = trial.user_attrs.get(attr.BASELINE)
        if baseline is not None and attr.IN_SPACE not in trial.user_attrs:
            return hand_made(self.baselines, baseline, example, seed)
        with seeded(seed):  # a FunctionSpace builds the model here
            architecture = self.space.suggest(trial)
        return Candidate(architecture, example, lambda: self.space.build(architecture), seed)

    def __call__(self, trial: Trial) -> tuple[float, ...]:
        """Evaluates one trial.

        Returns:
            A value for each objective; NaN for each, which Optuna counts as a failure, if the
            architecture is at fault.

        Raises:
            optuna.TrialPruned: A bound is broken, a listener ends the trial, or it is stopped
                early.
            InputError: The user's code is at fault.
        """
        if trial.study is not self._study:
            self.open_folders(trial.study)
        with outcome_stored(trial) as details:
            every = trial.study.get_trials(deepcopy=False)
            if attr.LEASE not in every[trial.number].user_attrs:  # plain Optuna runs the trial
                trial.set_user_attr(attr.LEASE, lease(place_of(trial.study._storage)))
            with checkpoint_folder(self.checkpoints, every[trial.number], every) as folder:
                return self._evaluate(trial, every, details, folder)
        return (math.nan,) * len(self.objectives)

    def _evaluate(
        self, trial: Trial, every: list[FrozenTrial], details: Details, folder: Path | None
    ) -> tuple[float, ...]:
        self._begin(trial.study)
        self._previews.recall(trial.study, every)
        seed = derived_seed(self._study_seed, place(every[trial.number], every), "candidate")
        with together(trial):
            with asking(lambda: self.choosing(trial.number)):
                candidate = self.candidate(trial, seed)
                with seeded(seed):
                    recipe = self.evaluator.suggest(trial)
            candidate.details = details
            names = str(candidate), str(recipe)
            trial.set_user_attr(attr.ARCHITECTURE, names[0])
            trial.set_user_attr(attr.RECIPE, names[1])
            self._previews.keep(trial, names[0])
        same = self._evaluated.find(trial.study, every, *names, stopped=bool(self._stopping))
        if original := same or await_same(trial.study, every, every[trial.number], *names):
            return reuse(trial, original, self.known)
        known, estimates = (details, self._evaluated, self._bounds), self.evaluator.estimates
        measured = measure_costs(trial, candidate, self.metrics, *known, check=not estimates)
        scores, report = run_evaluator(
            self.evaluator,
            trial,
            candidate,
            recipe,
            device=self.device,
            folder=folder,
            measured=measured,
            listeners=self.listeners,
            stopping=self._stopping,
        )
        store = self.weights if self.evaluator.gives_weights else None
        if store is not None:
            found = candidate, self.evaluator, scores, report
            self._told = say_which_weights(trial, *found, told=self._told)
        with together(trial):
            details.store(trial)
            for name, value in promised(self.evaluator, scores):
                measured[name] = value
                trial.set_user_attr(name, value)
                self._bounds.store(trial, name, value)
        values = tuple(measured[name] for name in self.objectives)
        keep_or_check(trial, candidate, values, store, self.metrics if estimates else ())
        return values

    def keep_reference(self, study: Study) -> None:
        """Writes the reference point into a study, where samplers and figures read it."""
        chance = {n: v for n, v in chance_of(self.evaluator).items() if n in self.objectives}
        keep_reference_point(study, self.reference, chance)

    def _begin(self, study: Study) -> None:
        """Sets a study up once: that reads all attributes that a dashboard keeps there."""
        if study is self._study:
            return
        name_objectives(study, self.objectives)
        self.keep_reference(study)
        self._study_seed = study_seed(study, self.seed)
        check_same_weights(study, self.prepare(), accept_changes=False)  # a Search accepts them
        self._study = study
