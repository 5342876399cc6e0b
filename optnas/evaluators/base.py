"""What an evaluator is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.evaluators.epoch_report import Report
from optnas.study.objectives import Direction
from optnas.utils.remakable import Remakable


class Evaluator(Remakable, ABC):
    """Finds out how well a candidate does the task: trains it, or looks it up.

    A subclass defines the four abstract members. What only some evaluators can do are abstract
    classes of their own, in `optnas.evaluators.abilities`; derive from those as well where they
    apply.

    Example:
        ```python
        import optnas

        class Train(optnas.Evaluator):
            provides = {"val_loss": "minimize"}
            fingerprint = {"data": "my data, version 2", "epochs": 3}

            def suggest(self, trial):
                return {"rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True)}

            def evaluate(self, candidate, recipe, report):
                for epoch in range(3):
                    loss = my_epoch(candidate.model, **recipe)
                    report(epoch, {"val_loss": loss})
                return {"val_loss": loss}
        ```

    Attributes:
        estimates: Whether scores stand in for a training: weights are inherited, or scores are
            looked up. No trained weights are kept then, and slow second counts are made only for
            networks that join the front.
        device: Where it trains; `auto` is the study's device. None for an evaluator that computes
            nothing: latency measurements never wait for it, nor it for them.
    """

    estimates: ClassVar[bool] = False
    device: str | None = "auto"

    @property
    def gives_weights(self) -> bool:
        """Whether the candidate's network has the weights of the scores afterwards."""
        return not self.estimates

    @property
    @abstractmethod
    def provides(self) -> Mapping[str, Direction]:
        """The names of the scores that `evaluate` returns, each with its direction."""

    @property
    @abstractmethod
    def fingerprint(self) -> Mapping[str, Any]:
        """Data and settings by name; scores with different fingerprints can't be compared."""

    @abstractmethod
    def suggest(self, trial: BaseTrial) -> object:
        """Draws the training recipe from the trial.

        Returns:
            Anything whose `str()` is canonical: two trials of one architecture whose recipes have
            the same string are trained once. An empty string where nothing is drawn.
        """

    @abstractmethod
    def evaluate(self, candidate: Candidate, recipe: Any, report: Report) -> dict[str, float]:
        """Returns the scores named in `provides`.

        Args:
            candidate: Its `model` may be trained in place, and moved to a device. If the evaluator
                doesn't estimate, the weights of the scores must end up in it, or be named by
                `report.weights`.
            recipe: What `suggest` returned.
            report: To be called after every epoch.

        Returns:
            The scores by name. A score that is NaN or infinite fails the trial.

        Raises:
            CandidateError: The architecture is at fault (its training diverged, say).
        """
