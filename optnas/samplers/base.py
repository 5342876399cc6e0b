"""The abstract sampler of architectures.

It obeys one law: the study is the state. A suggestion for a trial is a function of the study's
seed, the trial's place, the finished trials and the other running ones, and of nothing else. So an
interrupted study resumes in another process as if it had never stopped, and workers share nothing
but the storage.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.samplers.history import History
from optnas.samplers.trie import Node
from optnas.study.attributes import BASELINE
from optnas.study.seeds import derived_seed, study_seed
from optnas.utils.distributions import contains, stored
from optnas.utils.draws import draw

Draw = Callable[[str, BaseDistribution], Any]
"""Returns the value of a parameter, given its name and distribution."""

REMEMBERED = 1024
"""The number of unfinished trials whose decisions a sampler remembers."""


class Ask:
    """One trial, while its parameters are drawn one after the other.

    Attributes:
        history: The study's trials.
        place: The trial's place in the sequence of its study.
        decisions: The parameters drawn so far: name, distribution, value.
    """

    def __init__(self, history: History, seed: int, trial: FrozenTrial) -> None:
        self.history = history
        self.place = history.place(trial)
        self.decisions: list[tuple[str, BaseDistribution, Any]] = []
        self._seed = seed
        self._trial_id = trial._trial_id
        self._node: Node | None = history.tried.root

    def rng(self, purpose: str) -> Random:
        """A generator of its own for each trial and purpose."""
        return Random(derived_seed(self._seed, self.place, purpose))

    def shared_rng(self, purpose: str) -> Random:
        """A generator for each purpose, the same for all trials of the study."""
        return Random(derived_seed(self._seed, -1, purpose))

    def draw(self, name: str, distribution: BaseDistribution) -> Any:
        """Draws a value at random, one that leads to something untried if there is any."""
        return draw(self.rng(f"draw:{name}"), distribution, self.closed(name))

    def inherit(self, params: Mapping[str, Any]) -> Draw:
        """Takes the given values for their parameters, and draws the others.

        A value is skipped where the distribution doesn't contain it, or where it leads to nothing
        untried while others do.
        """

        def choose(name: str, distribution: BaseDistribution) -> Any:
            value = params.get(name)
            if name not in params or not contains(distribution, value):
                return self.draw(name, distribution)
            if stored(distribution, value) in self.closed(name):
                return self.draw(name, distribution)
            return value

        return choose

    def closed(self, name: str) -> Collection[float]:
        """The values (as Optuna stores them) that lead to nothing untried; empty if all do."""
        fork = self._node.forks.get(name) if self._node is not None else None
        return () if fork is None or fork.full else fork.closed

    def mark(self, name: str, value: Any = True) -> None:
        """Stores a system attribute of the trial."""
        self.history.study._storage.set_trial_system_attr(self._trial_id, name, value)

    def take(self, name: str, distribution: BaseDistribution, value: Any) -> None:
        """Adds a decision, and moves on to the next parameter."""
        self.decisions.append((name, distribution, value))
        if self._node is not None:
            self._node = self._node.child(name, stored(distribution, value))

    def follow(self, trial: FrozenTrial) -> None:
        """Adds the decisions that were made elsewhere, such as fixed parameters."""
        known = {name for name, _, _ in self.decisions}
        for name, value in trial.params.items():
            if name not in known:
                self.take(name, trial.distributions[name], value)


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
        InputError: At the first trial, if the study keeps another seed than the given one.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._history: History | None = None
        self._study_seed = 0
        self._asks: OrderedDict[int, tuple[Ask, Draw]] = OrderedDict()

    @abstractmethod
    def start(self, ask: Ask) -> Draw:
        """Decides on a trial, just before its first parameter is drawn.

        Args:
            ask: The trial, the study's history, and the trial's generators.

        Returns:
            A function that returns the value of each parameter, given its name and distribution;
            often `ask.inherit(params)`.
        """

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

    def _ask(self, study: Study, trial: FrozenTrial) -> tuple[Ask, Draw]:
        history = self._open(study)
        if trial._trial_id not in self._asks:
            self._history = None  # so that an interrupt here never leaves it half read
            history.update(trial)
            self._history = history
            ask = Ask(history, self._study_seed, trial)
            baseline = BASELINE in trial.user_attrs  # draws no architecture, only a recipe
            self._asks[trial._trial_id] = ask, ask.inherit({}) if baseline else self.start(ask)
            if len(self._asks) > REMEMBERED:
                self._asks.popitem(last=False)
        ask, choose = self._asks[trial._trial_id]
        ask.follow(trial)
        return ask, choose

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Lets the sampler store what it needs to remember of the trial, and forgets the rest."""
        with self._lock:
            if trial.params and BASELINE not in trial.user_attrs:
                # A retry has all parameters fixed, so `start` may not have been called yet.
                self.finish(*self._ask(study, trial))
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
