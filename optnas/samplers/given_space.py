"""The space that a predictor is given, and what trials draw beyond it (part of `predictor`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from optuna.trial import BaseTrial, FrozenTrial

from optnas.samplers.ask import Ask
from optnas.samplers.history import History
from optnas.samplers.learned_space import learned_space
from optnas.samplers.mutation import Genes, genes_of
from optnas.samplers.names import UNSOUND, Names, Replay, Suggest
from optnas.samplers.startup import random_architectures


class GivenSpace:
    """A space, if one is given, and what the trials show of the rest.

    An objective may draw more than the space that its sampler was given, such as a learning rate.
    What is left out is learned from the trials, as all is where no space is given.

    Attributes:
        suggest: Draws an architecture of the given space; None if there is none.

    Args:
        suggest: As above.
        stored: The names of an objective's trials, if it is the objective that gives the space:
            then the space leaves out nothing. Else trials have the names that `suggest` returns.
    """

    def __init__(self, suggest: Suggest | None, stored: Names | None = None) -> None:
        self.suggest = suggest
        self._is_all = suggest is None or stored is not None
        self._names = stored or (None if suggest is None else Names(suggest))
        self._sample: tuple[History, list[Genes]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_sample": None}

    def whole(self, history: History, tried: Sequence[FrozenTrial]) -> Suggest:
        """Draws all that trials draw.

        Args:
            history: The study's trials.
            tried: Those of them that are learned from.
        """
        given, left_out = self.suggest, self._left_out(history)
        if given is not None and not left_out:
            return given
        seen = [genes_of(trial) for trial in tried]
        if given is None:
            return learned_space(seen)
        rest = learned_space(seen, left_out)

        def suggest(trial: BaseTrial) -> None:
            given(trial)
            rest(trial)

        return suggest

    def names(self, history: History) -> Collection[str]:
        """The names of the trials; none if the space leaves something out.

        Trials of one name are other trials then: those of one network with two learning rates.
        """
        if self._names is None or self._left_out(history):
            return ()
        return self._names.tried(history)

    def sample(self, ask: Ask, suggest: Suggest) -> list[Genes]:
        """Random architectures; those of a given space that leaves out nothing are drawn once."""
        if suggest is not self.suggest:
            return random_architectures(ask, suggest)
        if self._sample is None or self._sample[0] is not ask.history:
            self._sample = ask.history, random_architectures(ask, suggest)
        return self._sample[1]

    def _left_out(self, history: History) -> set[str]:
        """The parameters that trials have, and the space doesn't draw."""
        return set() if self._is_all else history.fold(self._start, self._add)

    def _start(self, history: History) -> set[str]:
        return set()

    def _add(self, left_out: set[str], trial: FrozenTrial) -> None:
        assert self.suggest is not None
        replay = Replay(trial.params)
        try:
            self.suggest(replay)
        except UNSOUND:  # it shows no more than a part of the space
            return
        left_out.update(trial.params.keys() - replay.params.keys())
