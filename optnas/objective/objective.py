"""The objective: the one place where trial, space, metrics and evaluator meet."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from optuna import TrialPruned
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import BaseTrial, FixedTrial, FrozenTrial, Trial, TrialState
from torch import nn

from optnas.candidate import Candidate
from optnas.devices.device import release_memory
from optnas.devices.sharing import Sharing
from optnas.errors import InputError, fault_of_candidate, is_changed_space, with_place
from optnas.evaluators.base import Evaluator
from optnas.evaluators.reporting import finite, promised, reporting
from optnas.metrics import Metric
from optnas.metrics.zero_cost import zero_cost
from optnas.objective.check_parts import check_parts
from optnas.objective.checkpoints import checkpoint_folder
from optnas.objective.choose_metrics import choose_metrics
from optnas.objective.duplicates import Evaluated, await_same
from optnas.objective.early_stopping import EarlyStopping
from optnas.pareto.dominance import losses, nondominated
from optnas.pareto.front import front
from optnas.search_spaces import SearchSpace
from optnas.storage.faults import storage_fault
from optnas.study import attributes as attr
from optnas.study.artifacts import WeightStore
from optnas.study.leases import lease
from optnas.study.objectives import Direction, name_objectives
from optnas.study.places import derived_seed, place, study_seed
from optnas.utils.seeds import preserved, seeded

log = logging.getLogger("optnas")

Known = TypeVar("Known", int, str)

Listener = Callable[[Trial, int, Mapping[str, float]], None]


class Objective:
    """Suggests, measures, trains and scores one architecture; goes into `study.optimize`.

    The order: architecture and recipe are drawn; if a COMPLETE trial has both the same, its
    values are reused (`duplicate_of`), and if another worker is training the same just now, its
    values are waited for; metrics are measured, the cheapest first; a broken bound
    ends the trial there as PRUNED; the evaluator trains and scores. All that was measured is in the
    trial's user attributes, whatever happens later. An architecture at fault (it diverged, or
    memory ran out) fails its trial with the reason in the attribute `failure`, by returning NaN.

    Args:
        space: The search space.
        evaluator: Trains and scores.
        objectives: Names among the evaluator's scores and the metrics; each has its own direction.
        constraints: Bounds by name: an upper bound for what is minimised, a lower one for what is
            maximised.
        metrics: Metrics beside, or instead of, the standard ones of the same name: params,
            model_size_mb, macs, flops, peak_memory_mb, peak_activation_mb, latency_ms,
            throughput, and the zero-cost proxies synflow, naswot, grad_norm and snip.
        baselines: Hand-made networks by name: functions that make them, for trials whose user
            attribute `baseline` names one.
        weights: Folder for the trained weights of the front's members; None keeps none.
        checkpoints: Folder for the checkpoints of running trials, from which the retries of lost
            ones go on; None keeps none.
        shared: Folder for what the evaluator needs for all networks (a `SharedWeightsEvaluator`
            its weights); None keeps nothing.
        seed: Seeds weights, shuffling and dropout together with the trial's place. Left out, it
            is drawn once and kept in the study.
        device: Where metrics that depend on a device measure.
        listeners: Called as `listener(trial, step, scores)` after every epoch; one may raise
            `optuna.TrialPruned`.
        early_stop: Whether to end a trial as PRUNED once its training has no way left to the front
            (see `EarlyStopping`). Baselines are trained to the end.

    Raises:
        ValueError: A name is unknown, or there are no objectives.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        evaluator: Evaluator,
        objectives: Sequence[str],
        *,
        constraints: Mapping[str, float] | None = None,
        metrics: Iterable[Metric] = (),
        baselines: Mapping[str, Callable[[], nn.Module]] | None = None,
        weights: WeightStore | str | Path | None = None,
        checkpoints: str | Path | None = None,
        shared: str | Path | None = None,
        seed: int | None = None,
        device: str = "auto",
        listeners: Sequence[Listener] = (),
        early_stop: bool = False,
    ) -> None:
        check_parts(space, evaluator, objectives, constraints or {}, early_stop)
        self.space = space
        self.evaluator = evaluator.bind(space, None if shared is None else Path(shared))
        self.objectives = tuple(objectives)
        self.constraints = dict(constraints or {})
        self.baselines = dict(baselines or {})
        self.weights = WeightStore(weights) if isinstance(weights, (str, Path)) else weights
        self.checkpoints = None if checkpoints is None else Path(checkpoints)
        self.listeners = tuple(listeners)
        self.device = device
        self.metrics, self.known = choose_metrics(
            self.objectives, self.constraints, metrics, evaluator, device
        )
        self.seed = seed
        directions = {name: self.known[name] for name in self.objectives}
        self._stopping = EarlyStopping(directions, evaluator.provides) if early_stop else None
        self._costs: dict[str, dict[int, float]] = {}
        self._proxies: dict[str, dict[str, float]] = {}
        self._evaluated = Evaluated()
        self._named: Study | None = None
        self._study_seed = 0

    @property
    def directions(self) -> list[Direction]:
        """The direction of each objective, for `optuna.create_study(directions=...)`."""
        return [self.known[name] for name in self.objectives]

    def __call__(self, trial: Trial) -> tuple[float, ...]:
        """Evaluates one trial.

        Returns:
            A value for each objective; NaN, which Optuna takes for a failure, where the
            architecture is at fault.

        Raises:
            optuna.TrialPruned: A bound is broken, a listener ends it, or it was stopped early.
        """
        details: dict[str, Any] = {}
        try:
            every = trial.study.get_trials(deepcopy=False)
            if attr.LEASE not in every[trial.number].user_attrs:  # plain Optuna runs the trial
                trial.set_user_attr(attr.LEASE, lease())
            with checkpoint_folder(self.checkpoints, every[trial.number], every) as folder:
                return self._evaluate(trial, every, details, folder)
        except KeyboardInterrupt:
            trial.set_user_attr(attr.LOST, attr.INTERRUPTED)
            raise
        except TrialPruned as pruned:
            trial.set_user_attr(attr.PRUNED, str(pruned))
            raise
        except SystemExit as error:
            trial.set_user_attr(attr.FAILURE, "the evaluator called sys.exit()")
            raise InputError(f"the evaluator called sys.exit({error.code})") from error
        except UpdateFinishedTrialError:  # another worker took this one for dead
            details.clear()
            raise
        except Exception as error:
            if storage_fault(error):
                details.clear()
                raise
            reason = fault_of_candidate(error)
            trial.set_user_attr(attr.FAILURE, reason or with_place(error))
            if is_changed_space(error):
                raise InputError(
                    f"a parameter is drawn from other choices than in this study before ({error}): "
                    "put them back, or start another study (--name)"
                ) from error
            if reason is None:
                raise
            release_memory(error)
            return (math.nan,) * len(self.objectives)
        finally:
            for name, detail in details.items():
                trial.set_user_attr(f"{attr.DETAIL}{name}", detail)

    def _evaluate(
        self, trial: Trial, every: list[FrozenTrial], details: dict[str, Any], folder: Path | None
    ) -> tuple[float, ...]:
        study = trial.study
        if study is not self._named:  # that reads all that a dashboard keeps in the study
            name_objectives(study, self.objectives)
            self._study_seed = study_seed(study, self.seed)
            weights = self.evaluator.prepare()
            if weights and not attr.has_inherited(study):
                study.set_user_attr(attr.SHARED_WEIGHTS, weights)
            self._named = study
        at = place(every[trial.number], every)
        seed = derived_seed(self._study_seed, at, "candidate")
        candidate = self.candidate(trial, seed)
        candidate.details = details
        with seeded(seed):
            recipe = self.evaluator.suggest(trial)
        trial.set_user_attr(attr.ARCHITECTURE, str(candidate))
        trial.set_user_attr(attr.RECIPE, str(recipe))
        original = self._evaluated.find(
            study, every, str(candidate), str(recipe), stopped=self._stopping is not None
        )
        if original is None:
            original = await_same(study, every, every[trial.number], str(candidate), str(recipe))
        if original is not None:
            return self._reuse(trial, original)

        # One architecture has one latency: timing it again would let noise decide between recipes.
        measured = self._evaluated.measured(str(candidate), [m.name for m in self.metrics])
        fresh = [metric for metric in self.metrics if metric.name not in measured]
        for metric in self.metrics:
            if metric in fresh:
                measured[metric.name] = finite(metric.name, metric.measure(candidate))
            value = measured[metric.name]
            trial.set_user_attr(metric.name, value)
            if self._constrain(trial, metric.name, value) > 0:
                raise TrialPruned(
                    f"{metric.name} is {value:g}, its bound {self.constraints[metric.name]:g}"
                )
        # Inherited, or looked up: a second count would take longer than that, and is made for what
        # joins the front.
        estimated = self.evaluator.real is not self.evaluator or not self.evaluator.trains
        if not estimated:
            for metric in fresh:
                metric.check(candidate)
        scores = self._train(trial, candidate, recipe, folder, measured)
        for name, value in promised(self.evaluator, scores):
            measured[name] = value
            trial.set_user_attr(name, value)
            self._constrain(trial, name, value)
        values = tuple(measured[name] for name in self.objectives)
        if estimated:
            if self._staying(study, trial, values) is not None:
                for metric in self.metrics:
                    metric.check(candidate)
        elif self.weights is not None:  # those that are inherited are kept once, for all
            try:
                self._keep_weights(self.weights, study, trial, values, candidate.model)
            except Exception as error:  # a full disk, say: what was measured must not go with it
                details["weights"] = f"not kept: {type(error).__name__}: {error}"
                log.warning("trial %d: weights %s", trial.number, details["weights"])
        return values

    def _train(
        self,
        trial: Trial,
        candidate: Candidate,
        recipe: Any,
        folder: Path | None,
        measured: Mapping[str, float],
    ) -> dict[str, float]:
        """Evaluates beside others on the device; latency measurements get it to themselves."""
        stopping = None if attr.BASELINE in trial.user_attrs else self._stopping

        def stop_early(step: int, scores: Mapping[str, float]) -> None:
            if stopping is not None:
                stopping.check(trial, measured, report.curve)

        with reporting(
            self.evaluator,
            self.device,
            store=lambda curve: trial.set_user_attr(attr.CURVE, curve),
            listeners=[*(partial(listener, trial) for listener in self.listeners), stop_early],
            folder=folder,
            took=lambda seconds: trial.set_user_attr(attr.TRAIN_SECONDS, seconds),
        ) as report:
            return self.evaluator.evaluate(candidate, recipe, report)

    def candidate(self, trial: BaseTrial, seed: int = 0) -> Candidate:
        """The candidate that a trial stands for: drawn by a running one, decoded of another."""
        example = self.space.example_inputs
        baseline = trial.user_attrs.get(attr.BASELINE)
        if baseline is not None:
            if baseline not in self.baselines:
                known = ", ".join(self.baselines) or "none"
                raise InputError(f"unknown baseline {baseline!r}; there are: {known}")
            return Candidate(f"baseline {baseline}", example, self.baselines[baseline], seed)
        with seeded(seed):  # a FunctionSpace makes the model here
            architecture = self.space.suggest(trial)
        return Candidate(architecture, example, lambda: self.space.build(architecture), seed)

    def _reuse(self, trial: Trial, original: FrozenTrial) -> tuple[float, ...]:
        trial.set_user_attr(attr.DUPLICATE_OF, original.number)
        for name in self.known:
            if name in original.user_attrs:
                trial.set_user_attr(name, original.user_attrs[name])
        for name, value in original.constraints.items():
            trial.set_constraint(name, value)
        if original.values is None:
            trial.set_user_attr(attr.STOPPED, original.user_attrs[attr.STOPPED])
            raise TrialPruned(f"trial {original.number} was the same, and was stopped early")
        return tuple(original.values)

    def _constrain(self, trial: Trial, name: str, value: float) -> float:
        """Stores how far a bound is broken (feasible at 0 or less), and returns it."""
        if name not in self.constraints:
            return 0.0
        excess = value - self.constraints[name]
        excess = -excess if self.known[name] == "maximize" else excess
        trial.set_constraint(name, excess)
        return excess

    def _staying(self, study: Study, trial: Trial, values: tuple[float, ...]) -> set[int] | None:
        """The members of the front that stay there if the trial joins; None if it doesn't."""
        if any(excess > 0 for excess in trial.constraints.values()):
            return None
        members = front(study)
        points = losses([*(t.values for t in members), values], study.directions)
        *stays, joins = nondominated(points)
        if not joins:
            return None
        return {t._trial_id for t, stay in zip(members, stays, strict=True) if stay}

    def _keep_weights(
        self,
        store: WeightStore,
        study: Study,
        trial: Trial,
        values: tuple[float, ...],
        model: nn.Module,
    ) -> None:
        """Keeps the weights if the trial joins the front, and drops those it drives out."""
        staying = self._staying(study, trial, values)
        if staying is not None:
            # This trial, and any that another process is about to finish.
            running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            store.save(study, trial._trial_id, model)
            store.keep_only(study, staying | {t._trial_id for t in running})

    def suggest(self, trial: BaseTrial) -> None:
        """Draws all that a trial draws: an architecture, then a recipe."""
        with preserved():
            self.space.suggest(trial)
            self.evaluator.suggest(trial)

    def costs(self, params: Mapping[str, Any]) -> dict[int, float]:
        """What is known exactly before training, by the position of the objective.

        Args:
            params: A trial's parameters; those beyond the architecture are ignored.

        Returns:
            The values of the objectives that are counts, such as flops and params; memoised by
            the architecture.
        """
        exact = {metric.name: metric for metric in self.metrics if metric.exact}

        def count(candidate: Candidate) -> dict[int, float]:
            return {
                position: exact[name].measure(candidate)
                for position, name in enumerate(self.objectives)
                if name in exact
            }

        return self._before_training(params, self._costs, count)

    def proxies(self, params: Mapping[str, Any]) -> dict[str, float]:
        """What an untrained network tells of its loss: see `optnas.metrics.zero_cost`.

        Args:
            params: A trial's parameters; those beyond the architecture are ignored.

        Returns:
            The zero-cost proxies by name; memoised by the architecture.
        """
        return self._before_training(params, self._proxies, zero_cost)

    def _before_training(
        self,
        params: Mapping[str, Any],
        memo: dict[str, dict[Known, float]],
        find: Callable[[Candidate], dict[Known, float]],
    ) -> dict[Known, float]:
        """What is known of an architecture before training, computed between measurements."""
        with seeded(0):
            architecture = self.space.suggest(FixedTrial(dict(params)))
            key = str(architecture)
            if key not in memo:
                candidate = Candidate(
                    architecture,
                    self.space.example_inputs,
                    lambda: self.space.build(architecture),
                    disposable=True,
                )
                with Sharing(torch.device("cpu")):
                    memo[key] = find(candidate)
        return memo[key]
