"""Reports from Lightning's `Trainer`."""

from __future__ import annotations

import signal
import threading
from typing import Any

from lightning.pytorch.callbacks import Callback

from optnas.evaluators.epoch_report import Report
from optnas.integrations.scores import named_scores


class Reporter(Callback):
    """Reports what a `LightningModule` logs in each validation.

    A trial that is stopped early ends with `optuna.TrialPruned`, and Ctrl-C with
    `KeyboardInterrupt`, in whose place Lightning would leave the program.

    Example:
        ```python
        def fit(model, recipe, report):
            trainer = lightning.Trainer(max_epochs=3, callbacks=[Reporter(report)])
            trainer.fit(Module(model), train_loader, val_loader)
            return {"val_loss": float(trainer.callback_metrics["val_loss"])}
        ```

    Args:
        report: What `FunctionEvaluator` gives to your function.
        scores: The name under which the module logs each score; by default `val_loss="val_loss"`.
    """

    def __init__(self, report: Report, **scores: str) -> None:
        self._report = report
        self._scores = scores or {"val_loss": "val_loss"}
        self._interrupt: Any = signal.getsignal(signal.SIGINT)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Reports an epoch's scores; not those of `trainer.validate`."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            scores = named_scores(self._scores, trainer.callback_metrics, "self.log(…) keeps it")
            self._report(trainer.current_epoch, scores)

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        """Lets a latency measurement have the device."""
        self._report.give_way()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Passes Ctrl-C on: Lightning would ignore it from now on, and call `sys.exit`."""
        if isinstance(exception, KeyboardInterrupt):
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, self._interrupt)
            raise exception
