"""Reports from the networks of skorch."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import Callback

from optnas.evaluators.epoch_report import Report
from optnas.integrations.scores import named_scores


class Reporter(Callback):
    """Reports the scores of each epoch from the network's history.

    A trial that is stopped early ends with `optuna.TrialPruned`. After Ctrl-C skorch would return
    as if the training were over; here the interruption goes on.

    Example:
        ```python
        def fit(model, recipe, report):
            net = NeuralNetClassifier(model, callbacks=[Reporter(report)])
            net.fit(x, y)
            return {"val_loss": net.history[-1, "valid_loss"]}
        ```

    Args:
        report: What `FunctionEvaluator` gives to your function.
        scores: The name of each score in the history; by default `val_loss="valid_loss"`.
    """

    def __init__(self, report: Report, **scores: str) -> None:
        self._report = report
        self._scores = scores or {"val_loss": "valid_loss"}

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Reports an epoch's scores."""
        last = net.history[-1]
        how = "give the network train_split or an EpochScoring"
        self._report(last["epoch"] - 1, named_scores(self._scores, last, how))

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Lets a latency measurement have the device."""
        if training:
            self._report.give_way()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Raises what skorch swallows: Ctrl-C in an epoch, which therefore has no scores."""
        if net.history and not net.history[-1].keys() & self._scores.values():
            raise KeyboardInterrupt
