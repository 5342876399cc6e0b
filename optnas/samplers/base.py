"""The abstract sampler of architectures.

It obeys one law: the study is the state. A suggestion for a trial is a function of the study's
seed, the trial's place, the finished trials and the other running ones, and of nothing else. So an
interrupted study resumes in another process as if it had never stopped, and workers share nothing
but the storage.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.dominance import losses
from optnas.samplers.ask import Ask, Draw
from optnas.samplers.given import Given, given
from optnas.samplers.history import History
from optnas.samplers.mutation import Genes, values_of
from optnas.samplers.names import UNSOUND, Names, Suggest, name_of
from optnas.samplers.ranking import shortfall
from optnas.samplers.success import Outcomes
from optnas.study.attributes import is_hand_made
from optnas.study.seeds import study_seed
from optnas.study.trial_order import keep_completion
from optnas.utils.checks import check_wholes
from optnas.utils.preserved_once import preserved_once

ATTEMPTS, REPEATS = 100, 20
"""How often a trial is begun at most until it breaks no known bound and is likely to succeed, and
how often at most until it is no network that was tried."""
REMEMBERED = 1024
"""The number of unfinished trials whose decisions a sampler remembers."""


class HistorySampler(BaseSampler, ABC):
    """A sampler that draws one parameter after the other from the history of its study.

    Conditional spaces are the normal case: nothing relies on all parameters being known before the
    first is drawn. Parameters that are fixed (`study.enqueue_trial`) or inherited consume no
    random numbers: the study's seed, the trial's place and a name seed each generator.

    A sampler needs one method, `start`; `optnas.testing.HistorySamplerContract` has its tests.

    Example:
        ```python
        import optuna

        import optnas


        class NearbySampler(optnas.HistorySampler):
            '''Changes the newest trial as little as it takes to make it a new one.'''

            def start(self, ask):
                trials = ask.history.trials
                return ask.inherit(trials[-1].params if trials else {})


        study = optuna.create_study(sampler=NearbySampler(seed=0))
        study.optimize(lambda trial: trial.suggest_int("width", 1, 100), n_trials=20)
        ```

    Attributes:
        seed: As given.

    Args:
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: The seed is no whole number of at least 0.
        InputError: At the first trial, if the study keeps another seed than the given one.
    """

    def __init__(self, seed: int | None = None) -> None:
        check_wholes(seed=seed)
        self.seed = seed
        self._drawn: Suggest | None = None
        self._names: Names | None = None
        self._preview: Callable[[Mapping[str, Any]], Any] | None = None
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._history: History | None = None
        self._study_seed = 0
        self._asks: OrderedDict[int, tuple[Ask, Draw, Draw]] = OrderedDict()

    @abstractmethod
    def start(self, ask: Ask) -> Draw:
        """Decides on a trial, just before its first parameter is drawn.

        Args:
            ask: The trial, the study's history, and the trial's generators.

        Returns:
            A function that returns the value of each parameter, given its name and distribution;
            often `ask.inherit(params)`.
        """

    def fill_in(self, suggest: Suggest, preview: Callable[[Mapping[str, Any]], Any]) -> None:
        """Takes what the objective knows before any training; an `optnas.Search` calls it.

        From then on no trial draws an architecture that is known to break a bound, or to lie beyond
        the reference point, or that was tried (other decisions may lead to the same network), as
        long as another one is found. In plain Optuna, you call it, with an `optnas.Objective`:
        `sampler.fill_in(objective.suggest, objective.preview)`.

        Args:
            suggest: Draws all that a trial draws; it returns the strings of the architecture and of
                the recipe.
            preview: Gives a record of a trial's parameters, with `constraints`, `known`, `score`
                and `values` (see `optnas.objective.preview.Preview`).
        """
        self._drawn, self._preview = suggest, preview
        self._names = Names(suggest, stored=True)

    def check_objectives(self, names: Sequence[str], directions: Sequence[StudyDirection]) -> None:
        """Raises InputError if the sampler can't be used for these objectives.

        An `optnas.Search` calls it before its study is made.
        """

    def known_excess(self, params: Mapping[str, Any], history: History) -> tuple[float, float]:
        """How far parameters are known to break bounds, and to lie beyond the reference point.

        Both are 0 for what isn't known before training.
        """
        if self._preview is None:
            return 0.0, 0.0
        found = self._preview(params)
        broken = sum(max(excess, 0.0) for excess in found.constraints.values())
        if not any(np.isfinite(history.limits[i]) for i in found.known):
            return float(broken), 0.0  # no count is needed
        values = found.values
        row = [values.get(i, 0.0) for i in range(len(history.limits))]
        points = losses([row], history.study.directions)
        points[0, [i not in values for i in range(len(row))]] = -np.inf
        return float(broken), float(shortfall(points, history.limits)[0])

    def is_known_to_break(self, params: Mapping[str, Any]) -> bool:
        """Whether parameters are known before training to break a bound."""
        if self._preview is None:
            return False
        return any(excess > 0 for excess in self._preview(params).constraints.values())

    def _is_counted(self, genes: Genes) -> bool:
        """Whether what the sampler is told of an architecture before training can be computed."""
        return True

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns nothing: each parameter is drawn on its own, given those drawn before it."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draws the parameters of a given space, one after the other."""
        drawn: dict[str, Any] = {}
        with self._lock:
            ask, choose = self._ask(study, trial)
            for name, distribution in search_space.items():
                drawn[name] = choose(name, distribution)
                ask.take(name, distribution, drawn[name])
        return drawn

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draws one parameter, given those that the trial already has."""
        with self._lock:
            _, choose = self._ask(study, trial)
            return choose(param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Checks that the study has this seed, before anything is computed."""
        with self._lock:
            self._open(study)

    def _open(self, study: Study) -> History:
        if self._history is None or not self._history.is_of(study):
            self._study_seed = study_seed(study, self.seed)
            self._asks.clear()
            self._history = History(study)
        return self._history

    def _ask(self, study: Study, trial: FrozenTrial, *, ended: bool = False) -> tuple[Ask, Draw]:
        history = self._open(study)
        if trial._trial_id not in self._asks:
            self._history = None  # so that an interrupt here never leaves it half read
            history.update(trial)
            self._history = history
            with preserved_once():  # each draft and each preview preserves the generators
                self._asks[trial._trial_id] = self._begin(
                    history, trial, given(study, trial), ended
                )
            if len(self._asks) > REMEMBERED:
                self._asks.popitem(last=False)
        ask, choose, _ = self._asks[trial._trial_id]
        ask.follow(trial)
        return ask, choose

    def _begin(
        self, history: History, trial: FrozenTrial, given: Given, ended: bool
    ) -> tuple[Ask, Draw, Draw]:
        """Decides on a trial: once, or until it breaks no bound, is likely to succeed, and is new.

        Bounds are those that are known before training. What is likely to succeed is learned from
        the trials that failed (see `success`). What the sampler is told of an architecture must be
        computable, too. A retry goes through the attempts of the trial it repeats, and comes to the
        same.

        Args:
            history: The study's trials.
            trial: The trial.
            given: What others give to it.
            ended: Whether all its parameters are drawn.

        Returns:
            The trial, the function that draws its parameters, and the one that `start` returned.
        """
        ask = Ask(history, self._study_seed, trial)
        if is_hand_made(trial):  # draws no architecture, only a recipe
            draw = ask.inherit({})
            return ask, draw, draw
        draw = self.start(given.to(ask))
        if given.queued is not None or ended:
            return ask, draw, draw
        success = history.fold(Outcomes, Outcomes.add).model
        suggest = self._drawn or (success.suggest if success else None)
        if suggest is None:
            return ask, draw, draw
        names = self._names.tried(history) if self._names else ()
        least, kept = (math.inf,) * 5, (ask, draw, draw)
        for attempt in range(ATTEMPTS):
            if attempt:
                ask = given.to(Ask(history, self._study_seed, trial, attempt))
                draw = self.start(ask)
            try:
                genes, drawn = ask.rehearse(suggest, draw)
                excess = self.known_excess(values_of(genes), history)
            except UNSOUND:
                if attempt:  # what was drawn before has a network
                    continue
                return ask, draw, draw  # the trial itself fails then, and says why
            unlikely = success.unlikely(genes) if success else 0.0
            uncounted = float(not self._is_counted(genes))
            faults = (*excess, uncounted, unlikely, float(name_of(drawn) in names))
            if faults < least:
                least, kept = faults, (ask, ask.inherit(values_of(genes)), draw)
            if not any(faults) or (not any(least[:-1]) and attempt >= REPEATS):
                break
        return kept

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Lets the sampler store what it needs to remember of the trial, and forgets the rest."""
        keep_completion(study, trial)
        with self._lock:
            if trial.params and not is_hand_made(trial):
                # A retry has all parameters fixed, so `start` may not have been called yet.
                self._ask(study, trial, ended=True)
                ask, _, draw = self._asks[trial._trial_id]
                self.finish(ask, draw)
            self._asks.pop(trial._trial_id, None)

    def finish(self, ask: Ask, draw: Draw) -> None:
        """Called at the end of a trial, with all its decisions and the function from `start`."""

    def __getstate__(self) -> dict[str, Any]:
        settings = self.__dict__.copy()
        for name in ("_lock", "_history", "_study_seed", "_asks"):
            del settings[name]  # all of these are read from the study
        return settings

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__dict__.update(settings)
        self._forget()
