"""Writes a study to MLflow."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from optnas.callbacks.facts import CURVES, FrontFacts, Points, TrialFacts
from optnas.callbacks.table import as_csv
from optnas.callbacks.tracker import Tracker
from optnas.errors import InputError
from optnas.storage.urls import shown_url

if TYPE_CHECKING:
    from mlflow.entities import Run

STUDY, TRIAL = "optnas.study", "optnas.trial"
"""Tags: what tells the study from others, on all of its runs; a trial's number, on its run."""
PARENT = "mlflow.parentRunId"
"""MLflow's own tag of a child run."""
LONGEST = 500
"""Characters of a parameter's value that every MLflow server takes."""
AT_ONCE = 100
"""Entries of each kind that are sent at once; a server takes this number."""
STATUS = {"fail": "FAILED", "lost": "KILLED"}
_FORBIDDEN = re.compile(r"[^\w\-. /]", re.ASCII)


class MLflow(Tracker):
    """Writes a study to MLflow: a run for the study, and a child run for each trial.

    A child run has the trial's parameters, scores by epoch (`curve/val_loss`), costs and scores,
    and tags: `optnas.state` (also `pruned`, `stopped`, `fail` and `lost`), `optnas.reason`,
    `optnas.architecture`, and `optnas.retry_of` of a trial that repeats a lost one. The study's run
    has the front as `front.csv` and `front.html`, and the hypervolume. Runs that your own code
    begins, and MLflow's autologging, stay as they are.

    Needs the extra `mlflow`.

    Example:
        ```python
        import optnas

        data = optnas.diabetes()
        search = optnas.Search(
            space=optnas.MLPSpace(data.input_shape, data.outputs),
            evaluator=optnas.TrainingEvaluator(data, epochs=2),
            objectives=("val_loss", "params"),
            trials=3,
            listeners=[optnas.callbacks.MLflow("sqlite:///mlflow.db")],
        )
        ```

    Args:
        tracking_uri: The server or database; by default MLflow's own (`MLFLOW_TRACKING_URI`).
        experiment: The experiment, which is made if there is none of this name.
        weights: What is written of the kept weights of the front's members when a run has ended:
            `artifact` uploads them, `link` tags their runs with the path (`optnas.weights`).

    Raises:
        InputError: The package is missing, or `weights` is unknown.
    """

    def __init__(
        self, tracking_uri: str | None = None, experiment: str = "optnas", *, weights: str = ""
    ) -> None:
        super().__init__("mlflow", "mlflow", weights, ("artifact", "link"))
        if tracking_uri is not None and not isinstance(tracking_uri, str):
            raise InputError(
                "tracking_uri must be the URI of a server or database, such as "
                f"'sqlite:///mlflow.db', got {tracking_uri!r}"
            )
        self._uri = tracking_uri
        self._experiment_name = experiment
        self._runs: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"MLflow({None if self._uri is None else shown_url(self._uri)!r})"

    def connect(self, study: str, id: str, *, joined: bool) -> None:
        """Finds or makes experiment and run; another process's is found by its tag."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self._client = MlflowClient(tracking_uri=self._uri)
        self._id, self._runs = id, {}
        found = self._client.get_experiment_by_name(self._experiment_name)
        if found is None:
            try:
                self._experiment = self._client.create_experiment(self._experiment_name)
            except MlflowException:  # another process was quicker
                found = self._client.get_experiment_by_name(self._experiment_name)
                if found is None:
                    raise
        if found is not None:
            self._experiment = found.experiment_id
        self._run = self._study_run(study)
        if not joined:
            self._client.update_run(self._run, status="RUNNING")

    def _study_run(self, name: str) -> str:
        """The study's run. If two machines have made one in the same moment, the first stays."""
        there = self._of_study(children=False)
        if not there:
            tags = {STUDY: self._id, "optnas.name": name}
            made = self._client.create_run(self._experiment, tags=tags, run_name=name)
            there = self._of_study(children=False)
            own = made.info.run_id
            if there and there[0].info.run_id != own:
                self._client.delete_run(own)
            if not there:
                return str(own)
        return str(there[0].info.run_id)

    def _of_study(self, *, children: bool) -> list[Run]:
        runs = list(self._search(f"tags.`{STUDY}` = '{self._id}'"))
        runs = [run for run in runs if (TRIAL in run.data.tags) == children]
        return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))

    def _search(self, condition: str) -> Iterator[Run]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], condition, max_results=1000, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def recorded(self) -> set[int]:
        """Those whose run isn't running any more."""
        found = set()
        for run in self._of_study(children=True):
            number = int(run.data.tags[TRIAL])
            self._runs[number] = run.info.run_id
            if run.info.status != "RUNNING":
                found.add(number)
        return found

    def begin(self, trial: TrialFacts) -> set[int]:
        """Makes the child run, unless a killed process has."""
        if trial.number in self._runs:
            return self._steps(self._runs[trial.number], trial)
        made = self._client.create_run(
            self._experiment,
            start_time=_milliseconds(trial.began),
            tags={STUDY: self._id, TRIAL: str(trial.number), PARENT: self._run},
            run_name=trial.name,
        )
        self._runs[trial.number] = made.info.run_id
        self._write(trial)
        return set()

    def _steps(self, run: str, trial: TrialFacts) -> set[int]:
        """The steps that a run has already."""
        names = [name for _, scores in trial.points[:1] for name in scores][:1]
        return {
            metric.step
            for name in names
            for metric in self._client.get_metric_history(run, _name(f"{CURVES}{name}"))
        }

    def _write(self, trial: TrialFacts) -> None:
        """Writes all that is known of a trial but its curve."""
        params = {_name(key): str(value)[:LONGEST] for key, value in trial.params.items()}
        tags = {f"optnas.{key}": text[:5000] for key, text in trial.texts.items()}
        values = [(_name(name), value, 0) for name, value in trial.values.items()]
        self._send(self._runs[trial.number], values, params, tags)

    def _send(
        self,
        run: str,
        values: Sequence[tuple[str, float, int]],
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(1000 * time.time())
        entries = [Metric(name, value, now, step) for name, value, step in values]
        pairs = [Param(key, value) for key, value in (params or {}).items()]
        texts = [RunTag(key, value) for key, value in (tags or {}).items()]
        for i in range(0, max(len(entries), len(pairs), len(texts)), AT_ONCE):
            part = slice(i, i + AT_ONCE)
            self._client.log_batch(run, entries[part], pairs[part], texts[part])

    def write_points(self, number: int, points: Points) -> None:
        """Adds metrics with their steps."""
        values = [
            (_name(f"{CURVES}{name}"), value, step)
            for step, scores in points
            for name, value in scores.items()
        ]
        self._send(self._runs[number], values)

    def end(self, trial: TrialFacts) -> None:
        """Adds the rest, and ends the run: FINISHED, FAILED or, for a lost trial, KILLED."""
        self._write(trial)
        run, ended = self._runs[trial.number], _milliseconds(trial.ended)
        self._client.set_terminated(run, STATUS.get(trial.state, "FINISHED"), ended)

    def write_front(self, front: FrontFacts) -> None:
        """Writes `front.csv`, `front.html` and metrics, whose step is the number of trials."""
        self._send(self._run, [(_name(n), v, front.finished) for n, v in front.values.items()])
        self._client.log_text(self._run, as_csv(front), "front.csv")
        if front.data is not None:
            from optnas.plots import pareto_figure
            from optnas.plots.page import figure_html

            self._client.log_text(self._run, figure_html(pareto_figure(front.data)), "front.html")

    def write_weights(self, number: int, file: Path, original: Path) -> None:
        """Uploads the file, or writes the tag."""
        run = self._runs.get(number)
        if run is None:
            self.recorded()
            run = self._runs[number]
        if self._weights == "link":
            self._client.set_tag(run, "optnas.weights", str(original))
        else:
            self._client.log_artifact(run, str(file))

    def disconnect(self, state: str) -> None:
        """Ends the study's run, if this process has begun it."""
        if not self._joined:
            self._client.set_terminated(self._run, state.upper())


def _name(name: str) -> str:
    """A name without characters that MLflow forbids in those of metrics and parameters."""
    return _FORBIDDEN.sub("_", name)[:250]


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(1000 * time.timestamp())
