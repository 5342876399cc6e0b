"""Writes a study to Weights & Biases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from optnas.callbacks.facts import CURVES, FrontFacts, Points, TrialFacts
from optnas.callbacks.tracker import Tracker
from optnas.errors import InputError
from optnas.study.folders import file_name

MODES = ("online", "offline", "disabled")


class WandB(Tracker):
    """Writes a study to Weights & Biases: a run for each trial, grouped by the study, and one more.

    A trial's run has its parameters as config, scores by epoch (`curve/val_loss` over `epoch`), and
    costs, scores, state, reason and architecture in its summary. The run of type `study` has the
    front as a table and a figure, and the hypervolume. Runs that your own code begins stay as they
    are.

    Needs the extra `wandb`. It was run in offline mode alone, and never against a server. Which
    trials have been written is kept in `wandb/optnas-ID` on this machine.

    Example:
        ```python
        import optnas

        data = optnas.diabetes()
        search = optnas.Search(
            space=optnas.MLPSpace(data.input_shape, data.outputs),
            evaluator=optnas.TrainingEvaluator(data, epochs=2),
            objectives=("val_loss", "params"),
            trials=3,
            listeners=[optnas.callbacks.WandB("my-project", mode="offline")],
        )
        ```

    Args:
        project: The project.
        entity: The user or team; by default yours.
        mode: `online`, `offline` or `disabled`; by default W&B's own (`WANDB_MODE`).
        folder: Where W&B keeps its folder `wandb`; by default W&B's own (`WANDB_DIR`).
        weights: What is written of the kept weights of the front's members when a run has ended:
            `artifact` uploads them, `link` writes the path into the summary.

    Raises:
        InputError: The package is missing, or `mode` or `weights` is unknown.
    """

    def __init__(
        self,
        project: str = "optnas",
        entity: str | None = None,
        *,
        mode: str | None = None,
        folder: str | Path | None = None,
        weights: str = "",
    ) -> None:
        super().__init__("wandb", "wandb", weights, ("artifact", "link"))
        if mode is not None and mode not in MODES:
            raise InputError(f"mode of WandB must be one of {', '.join(MODES)}, got {mode!r}")
        self._project, self._entity, self._mode = project, entity, mode
        self._folder = Path(folder or os.environ.get("WANDB_DIR") or ".").absolute()
        self._runs: dict[int, Any] = {}
        self._of_study: Any = None

    def __repr__(self) -> str:
        return f"WandB({self._project!r})"

    def connect(self, study: str, id: str, *, joined: bool) -> None:
        """Nothing is written yet: a run's id is that of the study with the trial's number."""
        self._study_name, self._id = study, id
        self._runs, self._of_study = {}, None
        self._marks = self._folder / "wandb" / f"optnas-{file_name(id)}"
        self._marks.mkdir(parents=True, exist_ok=True)

    def _begin_run(self, name: str, kind: str, tag: str = "", config: Any = None) -> Any:
        import wandb

        settings = wandb.Settings(
            silent=True, console="off", x_disable_stats=True, disable_git=True, save_code=False
        )
        mode: Any = self._mode
        return wandb.init(
            project=self._project,
            entity=self._entity,
            dir=str(self._folder),
            mode=mode,
            id=f"{self._id}{tag}",
            name=name,
            group=f"{self._study_name}-{self._id}",
            job_type=kind,
            config=config,
            reinit="create_new",
            resume="allow",
            settings=settings,
        )

    def recorded(self) -> set[int]:
        """Those that were written on this machine."""
        return {int(path.name) for path in self._marks.iterdir() if path.name.isdecimal()}

    def begin(self, trial: TrialFacts) -> set[int]:
        """Begins a run with the trial's parameters, or resumes that of a killed process."""
        params = {name: _plain(value) for name, value in trial.params.items()}
        run = self._begin_run(trial.name, "trial", f"-{trial.number}", params)
        run.define_metric("epoch")
        run.define_metric(f"{CURVES}*", step_metric="epoch")
        self._runs[trial.number] = run
        return set()

    def write_points(self, number: int, points: Points) -> None:
        """Adds scores by epoch."""
        for step, scores in points:
            named = {f"{CURVES}{name}": value for name, value in scores.items()}
            self._runs[number].log({"epoch": step, **named})

    def end(self, trial: TrialFacts) -> None:
        """Completes the summary, and ends the run; with exit code 1 if the trial failed."""
        run = self._runs.pop(trial.number)
        run.summary.update({**trial.values, **trial.texts})
        run.finish(exit_code=int(trial.state in ("fail", "lost")))
        (self._marks / str(trial.number)).write_text(f"{trial.state}\n", encoding="utf-8")

    def write_front(self, front: FrontFacts) -> None:
        """Adds table, figure and hypervolume to the study's run."""
        import wandb

        from optnas.plots import pareto_figure

        columns = front.columns
        table = wandb.Table(columns, [[_cell(row[c]) for c in columns] for row in front.rows])
        shown: dict[str, Any] = {**front.values, "front_table": table}
        if front.data is not None:
            shown["front_figure"] = wandb.Plotly(pareto_figure(front.data))
        self._of_study = self._of_study or self._begin_run(self._study_name, "study")
        self._of_study.log(shown)

    def write_weights(self, number: int, file: Path, original: Path) -> None:
        """Adds an artifact to the trial's run, or the path to its summary."""
        import wandb

        run = self._begin_run(f"trial {number}", "trial", f"-{number}")
        if self._weights == "link":
            run.summary["weights"] = str(original)
        else:
            artifact = wandb.Artifact(f"{self._id}-{number}", type="model")
            artifact.add_file(str(file))
            run.log_artifact(artifact)
        run.finish(exit_code=0)

    def disconnect(self, state: str) -> None:
        """Ends what is still open."""
        if self._of_study is not None:
            self._of_study.finish(exit_code=int(state != "finished"))
            self._of_study = None
        while self._runs:
            self._runs.popitem()[1].finish(exit_code=int(state != "finished"))


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _cell(value: Any) -> Any:
    return None if value is None else _plain(value)
