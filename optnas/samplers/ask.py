"""One trial while a sampler draws its parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import copy
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial, FixedTrial, FrozenTrial

from optnas.samplers.history import History
from optnas.samplers.trie import Node, Trie, path_of
from optnas.study.seeds import derived_seed
from optnas.utils.distributions import as_key, contains, is_same
from optnas.utils.draws import draw

Draw = Callable[[str, BaseDistribution], Any]
"""Returns the value of a parameter, given its name and distribution."""


class Ask:
    """One trial, while its parameters are drawn one after the other.

    Attributes:
        history: The study's trials.
        place: The trial's place in the sequence of its study.
        decisions: The parameters drawn so far: name, distribution, value.
        attempt: How often the trial was begun before, because what was drawn breaks a bound or is
            likely to fail; each attempt has generators of its own.
        fixed: Parameters that were decided beforehand (see `fix`), and their values.
        held: Those of them that all trials have (see `hold`).
        tried: The root of the tree of tried parameters: of those that have the fixed values.
    """

    def __init__(self, history: History, seed: int, trial: FrozenTrial, attempt: int = 0) -> None:
        self.history = history
        self.place = history.place(trial)
        self.decisions: list[tuple[str, BaseDistribution, Any]] = []
        self.attempt = attempt
        self._seed = seed
        self._trial_id = trial._trial_id
        self.fixed: Mapping[str, Any] = {}
        self.held: Mapping[str, Any] = {}
        self._expected: Mapping[str, Any] = {}
        self.tried: Node = history.tried.root
        self._node: Node | None = self.tried

    def rng(self, purpose: str) -> Random:
        """A generator of its own for each trial and purpose."""
        return Random(self.seed(purpose))

    def seed(self, purpose: str) -> int:
        """A seed of its own for each trial and purpose."""
        purpose = f"{purpose}/{self.attempt}" if self.attempt else purpose
        return derived_seed(self._seed, self.place, purpose)

    def shared_rng(self, purpose: str) -> Random:
        """A generator for each purpose, the same for all trials of the study."""
        return Random(derived_seed(self._seed, -1, purpose))

    @property
    def trial(self) -> FrozenTrial:
        """The trial with the decisions so far, which may not be stored yet; a copy."""
        trial = copy(self.history.study._storage.get_trial(self._trial_id))
        trial.distributions = {name: distribution for name, distribution, _ in self.decisions}
        trial.params = {name: value for name, _, value in self.decisions}
        return trial

    def fix(self, params: Mapping[str, Any]) -> bool:
        """Decides parameters beforehand, as far as the trial will draw them.

        Returns:
            Whether anything untried has these values; if not, nothing is fixed.
        """
        root = self._tried_with(params)
        node = self._tried_with({**params, **self._expected}) if self._expected else root
        if root.closed or node.closed:
            return False
        self.fixed, self.tried, self._node = params, root, node
        return True

    def hold(self, params: Mapping[str, Any]) -> None:
        """Decides parameters beforehand that other trials have in common with this one."""
        if self.fix(params):
            self.held = params

    def expect(self, params: Mapping[str, Any]) -> None:
        """Leaves out what leads to nothing untried with these values, which the trial will have.

        Nothing else changes: a trial that is queued with what it would have drawn is the same.
        """
        node = self._tried_with(params)
        if not node.closed:
            self._expected, self._node = params, node

    def _tried_with(self, params: Mapping[str, Any]) -> Node:
        """The root of the tree of what was tried with these values."""
        tried = Trie()
        for trial in [*self.history.trials, *self.history.running]:
            if self.history.is_cut_short(trial):
                continue
            both = trial.params.keys() & params.keys()
            if all(is_same(trial.distributions[n], trial.params[n], params[n]) for n in both):
                # As if a fixed parameter had one value, so that it is clear what is left with it.
                path = [(n, key, None if n in params else d) for n, key, d in path_of(trial)]
                tried.add(path, trial.number)
        return tried.root

    def draw(self, name: str, distribution: BaseDistribution) -> Any:
        """Draws a value at random, one that leads to something untried if there is any."""
        return draw(self.rng(f"draw:{name}"), distribution, self.closed(name, distribution))

    def inherit(self, params: Mapping[str, Any]) -> Draw:
        """Takes the given values for their parameters, and draws the others.

        A value is skipped where the distribution doesn't contain it, or where it leads to nothing
        untried while others do.
        """

        def choose(name: str, distribution: BaseDistribution) -> Any:
            value = params.get(name)
            if name not in params or not contains(distribution, value):
                return self.draw(name, distribution)
            if as_key(distribution, value) in self.closed(name, distribution):
                return self.draw(name, distribution)
            return value

        return choose

    def closed(self, name: str, distribution: BaseDistribution) -> Collection[float]:
        """The keys (see `as_key`) of the values that lead to nothing untried; empty if all do."""
        fork = self._node.forks.get(name) if self._node is not None else None
        return () if fork is None or fork.is_full_in(distribution) else fork.closed

    def mark(self, name: str, value: Any = True) -> None:
        """Stores a system attribute of the trial."""
        self.history.study._storage.set_trial_system_attr(self._trial_id, name, value)

    def say(self, name: str, value: Any) -> None:
        """Stores a user attribute of the trial."""
        self.history.study._storage.set_trial_user_attr(self._trial_id, name, value)

    def is_of(self, trial: FrozenTrial) -> bool:
        """Whether this is the trial whose parameters are drawn."""
        return trial._trial_id == self._trial_id

    def take(self, name: str, distribution: BaseDistribution, value: Any) -> None:
        """Adds a decision, and moves on to the next parameter."""
        self.decisions.append((name, distribution, value))
        if self._node is not None:
            self._node = self._node.child(name, as_key(distribution, value))

    def follow(self, trial: FrozenTrial) -> None:
        """Adds the decisions that were made elsewhere, such as fixed parameters."""
        known = {name for name, _, _ in self.decisions}
        for name, value in trial.params.items():
            if name not in known:
                self.take(name, trial.distributions[name], value)

    def rehearse(
        self, suggest: Callable[[BaseTrial], object], choose: Draw
    ) -> tuple[dict[str, tuple[BaseDistribution, Any]], object]:
        """The decisions that the trial would take, and what `suggest` makes of them.

        It is for a look at them; none of them is taken.

        Args:
            suggest: Draws all that the trial draws.
            choose: The function from `start`.
        """
        rehearsal = _Rehearsal(self, choose)
        try:
            drawn = suggest(rehearsal)
        finally:
            self.decisions, self._node = [], self.tried
        genes = {n: (rehearsal.distributions[n], value) for n, value in rehearsal.params.items()}
        return genes, drawn


_ANY = Random(0)


class _Rehearsal(FixedTrial):
    """A trial outside of the study that draws what a trial in it would draw."""

    def __init__(self, ask: Ask, choose: Draw) -> None:
        super().__init__({})
        self._ask, self._choose = ask, choose

    # Every `suggest_*` of FixedTrial calls this.
    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._params:
            single = distribution.single()  # Optuna asks no sampler for it
            value = draw(_ANY, distribution) if single else self._choose(name, distribution)
            self._ask.take(name, distribution, value)
            self._params[name] = value
        return super()._suggest(name, distribution)
