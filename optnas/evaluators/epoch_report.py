"""What an evaluator reports while it trains a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from optnas.utils.fitting_state import fitting_state
from optnas.utils.weights_file import copied_state, load_state

STORE_SECONDS = 5.0
"""The growing curve of a running trial, and its checkpoint, are stored about this often."""


class Report:
    """An evaluator calls it after every epoch, or whatever counts as a step for that evaluator.

    Example:
        ```python
        import optnas

        report = optnas.Report(listeners=[print])
        report(0, {"val_loss": 0.5})  # prints: 0 {'val_loss': 0.5}
        report.curve  # [{"step": 0, "val_loss": 0.5}]
        ```

    Args:
        store: Called with the curve from time to time, and at the end.
        listeners: Called with the step and the scores. A listener that raises
            `optuna.TrialPruned` ends the trial as pruned.
        give_way: See the attribute.
        folder: See the attribute.
        network: Gives the network that is trained, for `weights`; None if nothing is.
        final: See the property.
        clock: Gives the seconds that the training has taken in this process.

    Attributes:
        curve: The scores so far, a dictionary for each step, with the key `step`.
        give_way: Lets a waiting latency measurement have the device. Call it before each training
            step: without a waiting measurement it takes well under a microsecond. `report()` calls
            it too.
        folder: For a checkpoint of the running trial, which its retry resumes from; None if no
            checkpoints are kept. The evaluator creates the folder if it writes there. The folder
            is removed when the trial ends, and stays if the trial's process dies.
        earlier: The seconds that the training took up to the checkpoint that it was resumed from.
    """

    def __init__(
        self,
        store: Callable[[list[dict[str, float]]], None] | None = None,
        listeners: Sequence[Callable[[int, Mapping[str, float]], None]] = (),
        give_way: Callable[[], None] | None = None,
        folder: Path | None = None,
        network: Callable[[], nn.Module] | None = None,
        final: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.curve: list[dict[str, float]] = []
        self.give_way = give_way or _nothing
        self.folder = folder
        self.earlier = 0.0
        self._clock = clock
        self._store = store
        self._listeners = listeners
        self._network = network
        self._final = final
        self._asked_final = False
        self._weights: Any = None
        self._stored = time.monotonic()

    def __call__(self, step: int, scores: Mapping[str, float]) -> None:
        """Adds the scores of a step to the curve, and passes them on to the listeners."""
        scores = {name: float(score) for name, score in scores.items()}
        self.curve.append({"step": step, **scores})
        if time.monotonic() - self._stored > STORE_SECONDS:
            self.close()
        for listener in self._listeners:
            listener(step, scores)
        self.give_way()

    @property
    def seconds(self) -> float:
        """The seconds that the training has taken, without what was lost with a killed process."""
        return self.earlier + (0.0 if self._clock is None else self._clock())

    @property
    def final(self) -> bool:
        """Whether this is a chosen network's final training, which `optnas retrain` asks for.

        Then train on everything but the test part, and score there; in the search it is False.
        """
        self._asked_final = True
        return self._final

    @property
    def asked_final(self) -> bool:
        """Whether the training code has looked at `final`, so that its scores can be trusted."""
        return self._asked_final

    def weights(self, weights: nn.Module | Mapping[str, Any]) -> None:
        """Says which weights have the scores that the evaluator will return.

        Without a call they are those that the network has at the end of its training. Call it where
        the scores are those of another epoch, or of averaged weights. The last call counts. The
        weights are copied, so training may go on.

        Args:
            weights: The network, a copy or a moving average of it, or a `state_dict`. Wrappers
                such as `AveragedModel`, `DataParallel` and `torch.compile` may be around it.

        Raises:
            TypeError: It is something else.
            InputError: The weights don't fit the trial's network.
        """
        state = weights.state_dict() if isinstance(weights, nn.Module) else weights
        if not isinstance(state, Mapping):
            raise TypeError(
                "report.weights takes a torch.nn.Module or its state_dict(), got "
                f"{type(weights).__name__}"
            )
        if self._network is not None:
            state = fitting_state(self._network(), state)
        self._weights = copied_state(state, "cpu")

    @property
    def names_weights(self) -> bool:
        """Whether `weights` was called."""
        return self._weights is not None

    def take_weights(self) -> None:
        """Loads the weights that `weights` was given into the network, if it was called."""
        if self._weights is not None and self._network is not None:
            load_state(self._network(), self._weights)

    def close(self) -> None:
        """Stores the curve."""
        if self._store is not None and self.curve:
            self._store(self.curve)
            self._stored = time.monotonic()


def _nothing() -> None:
    """No other process uses the device."""
