"""What only some search spaces can do: small abstract classes, asked for by `isinstance`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic

from torch import nn

from optnas.search_spaces.base import Architecture
from optnas.search_spaces.choice import RelaxedTrial


class Encodable(ABC, Generic[Architecture]):
    """A search space that finds the parameters of a given architecture.

    So a network that somebody designed becomes a trial of the study.

    Example:
        ```python
        import optuna

        import optnas

        base = optnas.MobileSpace.mobilenet_v2((1, 28, 28), width=0.25)
        space = optnas.MobileSpace.around(base, (1, 28, 28), outputs=10)
        params = space.params_of(base)
        assert space.suggest(optuna.trial.FixedTrial(params)) == base

        study = optuna.create_study()
        study.enqueue_trial(params)  # the next trial is that network
        ```
    """

    @abstractmethod
    def params_of(self, architecture: Architecture) -> dict[str, Any]:
        """The parameters of a trial whose architecture is this one: the inverse of `suggest`.

        Raises:
            InputError: The space doesn't have the architecture; the message names a setting that
                it lacks.
        """


class Relaxable(ABC):
    """A search space that has a relaxed network: it computes all operations of its choices."""

    @abstractmethod
    def relaxed(self, trial: RelaxedTrial) -> nn.Module:
        """Makes the relaxed network.

        Args:
            trial: Draws what isn't relaxed, such as widths; `choose(trial, name, operations)` makes
                what is, under the name that the parameter has in `suggest`.
        """
