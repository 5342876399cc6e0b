"""Reports from the `Trainer` of transformers."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from optnas.evaluators.epoch_report import Report
from optnas.integrations.scores import named_scores


class Reporter(TrainerCallback):
    """Reports the metrics of each evaluation.

    The step is the epoch (from 0) with `eval_strategy="epoch"`, else the number of optimizer steps.

    Example:
        ```python
        def fit(model, recipe, report):
            trainer = Trainer(
                model,
                TrainingArguments("out", eval_strategy="epoch"),
                train_dataset=train,
                eval_dataset=val,
                callbacks=[Reporter(report)],
            )
            trainer.train()
            return {"val_loss": trainer.evaluate()["eval_loss"]}
        ```

    Args:
        report: What `FunctionEvaluator` gives to your function.
        scores: The trainer's name of each score; by default `val_loss="eval_loss"`.
    """

    def __init__(self, report: Report, **scores: str) -> None:
        self._report = report
        self._scores = scores or {"val_loss": "eval_loss"}
        self._last = -1

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Reports an evaluation's scores, those of one step once."""
        epoch = round(state.epoch or 0) - 1  # -1 before the training
        step = epoch if args.eval_strategy == "epoch" else state.global_step
        if step != self._last:
            how = "compute_metrics makes more"
            self._report(step, named_scores(self._scores, kwargs["metrics"], how))
        self._last = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Lets a latency measurement have the device."""
        self._report.give_way()
