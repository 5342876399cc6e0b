"""A search: what a study file defines, and how its study is opened and run."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from rich.console import Console
from torch import nn

from optnas.devices.device import check_device_name, cpu_threads, resolve_device
from optnas.errors import InputError, NoStudyError, StoppedError
from optnas.evaluators import Evaluator
from optnas.evaluators.abilities import configured
from optnas.evaluators.by_name import by_name, name_of
from optnas.metrics import Metric
from optnas.objective.checkpoints import sweep
from optnas.objective.objective import Listener, Objective
from optnas.runs.loop import Observer, queue_baselines, run_trials
from optnas.runs.progress import Progress
from optnas.runs.stop import Stop, stopping
from optnas.runs.time_limit import check_timeout
from optnas.runs.worker_process import Display, Job
from optnas.runs.workers import check_workers, run_workers
from optnas.samplers import HistorySampler, PredictorSampler, ReseededSampler, make_sampler
from optnas.search_spaces import SearchSpace, space_size
from optnas.storage.open import open_storage
from optnas.storage.urls import shown_url, sqlite_url
from optnas.study.artifacts import WeightStore
from optnas.study.folders import beside, shared_folder, weights_folder
from optnas.study.load import load_or_create, load_study
from optnas.study.objectives import name_objectives
from optnas.study.places import study_seed
from optnas.study.record import (
    RECORD,
    Overrides,
    check_same_study,
    check_same_weights,
    overrides_of,
    record_of,
)
from optnas.utils.seeds import seeded


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """Everything that a study needs: what to try, how to judge it, and for how long.

    Attributes:
        space: The search space.
        evaluator: Trains and scores an architecture.
        objectives: Names among the evaluator's scores and the metrics.
        constraints: Bounds by name; a candidate that breaks one known before training isn't
            trained.
        metrics: Metrics beside, or in place of, the standard ones: params, model_size_mb, macs,
            flops, peak_memory_mb, peak_activation_mb, latency_ms, throughput, and the zero-cost
            proxies synflow, naswot, grad_norm and snip.
        baselines: Hand-made networks by name, each a function that makes one: the first trials.
        sampler: `predictor`, `evolution`, `local_search`, `reinforce`; Optuna's `random`, `tpe`,
            `nsgaii`, `nsgaiii`, `gp`; or any Optuna sampler.
        trials: Trials to reach in all: COMPLETE ones, and those that were stopped early.
        hours: Time for one run; None sets no limit.
        seed: Seeds the sampler, the weights and the shuffling; left out, one is drawn and kept.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`, for training and latency.
        threads: CPU threads that PyTorch may use while the study runs. A small network gains
            little from a second one, and beside another busy process it loses far more, because
            waiting threads spin; more pay for large networks on an otherwise idle CPU.
        epochs: Training epochs, in place of the evaluator's.
        early_stop: Whether to stop trainings that can't reach the front any more (see
            `EarlyStopping`). A study may go on with another choice.
        trial_timeout: Seconds after which a trial fails; None sets no limit.
        max_failures: The run ends when so many trials in a row fail for one reason.
        name: Name of the study; the study file's by default.
        storage: URL of the storage (`sqlite:///study.db`) or an Optuna storage. By default an
            SQLite file `NAME.db`, beside the study file if there is one.
        weights: Whether to keep the trained weights of the front's members, in `NAME_weights`.
        file: The study file, filled in when it is loaded.
        folder: Where the default storage lies: the working directory, or the study file's.

    Raises:
        ValueError: A setting is unknown or out of range.
    """

    space: SearchSpace[Any]
    evaluator: Evaluator
    objectives: Sequence[str]
    constraints: Mapping[str, float] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()
    baselines: Mapping[str, Callable[[], nn.Module]] = field(default_factory=dict)
    sampler: str | BaseSampler = "predictor"
    trials: int = 40
    hours: float | None = None
    seed: int | None = None
    device: str = "auto"
    threads: int = 1
    epochs: int | None = None
    early_stop: bool = False
    trial_timeout: float | None = None
    max_failures: int = 3
    name: str = ""
    storage: str | BaseStorage = ""
    weights: bool = True
    file: Path | None = None
    folder: Path = Path()

    def __post_init__(self) -> None:
        for name, lowest in (
            ("trials", 1),
            ("threads", 1),
            ("epochs", 1),
            ("max_failures", 1),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if value is None and name in ("epochs", "seed"):
                continue
            try:
                number = operator.index(value)
            except TypeError as error:
                raise InputError(f"{name} must be a whole number, got {value!r}") from error
            if not lowest <= number < 2**31:
                raise InputError(f"{name} must be at least {lowest} (below 2^31), got {number}")
            object.__setattr__(self, name, number)
        if self.hours is not None and not self.hours > 0:
            raise InputError(f"hours must be above 0 (inf sets no limit), got {self.hours:g}")
        check_timeout(self.trial_timeout)
        if "/" in self.name or os.sep in self.name:
            raise InputError(f"name {self.name!r} must have no slash: files are named after it")
        if not self.name.isprintable():
            raise InputError(f"name {self.name!r} must have printable characters alone")
        if isinstance(self.sampler, str):
            make_sampler(self.sampler)
        elif not isinstance(self.sampler, BaseSampler):
            raise InputError(f"sampler must be a name or an Optuna sampler, got {self.sampler!r}")
        if not isinstance(self.evaluator, Evaluator):
            raise TypeError(f"evaluator must be an Evaluator, got {self.evaluator!r}")
        check_device_name(self.device)
        self.objective()

    @property
    def study_name(self) -> str:
        """The given name, or the study file's, or `search`."""
        return self.name or (self.file.stem if self.file else "search")

    @property
    def url(self) -> str:
        """The storage's URL, given or by default; empty for a storage object."""
        if isinstance(self.storage, BaseStorage):
            return ""
        return self.storage or sqlite_url(self.folder / f"{self.study_name}.db")

    def path(self, suffix: str) -> Path:
        """A file of this study beside its database, named after it (`_front.html`)."""
        return beside(self.url, f"{self.study_name}{suffix}")

    def remembered(self) -> Overrides:
        """What was overridden in earlier runs of this study."""
        if not self.url:
            return Overrides()
        try:
            study = load_study(open_storage(self.url), self.study_name)
        except NoStudyError:
            return Overrides()
        return overrides_of(study) if study else Overrides()

    def override(self, overrides: Overrides) -> Search:
        """This search with some settings replaced."""
        given = overrides.given()
        if "evaluator" in given:
            given["evaluator"] = by_name(given["evaluator"], self.evaluator)
        return replace(self, **given)

    def objective(self, listeners: Sequence[Listener] = ()) -> Objective:
        """The objective, as `study.optimize` takes it."""
        store = None
        if self.weights:
            store = WeightStore(weights_folder(self.url, self.study_name))
        device = None if self.device == "auto" else self.device
        return Objective(
            self.space,
            configured(self.evaluator, device=device, epochs=self.epochs),
            self.objectives,
            constraints=self.constraints,
            metrics=self.metrics,
            baselines=self.baselines,
            weights=store,
            checkpoints=self.path("_checkpoints"),
            shared=shared_folder(self.url, self.study_name),
            seed=self.seed,
            device=self.device,
            listeners=listeners,
            early_stop=self.early_stop,
        )

    def fingerprint(self, objective: Objective) -> dict[str, Any]:
        """What must stay the same for a study's numbers to be comparable, as flat text."""
        found = {
            "objectives": ", ".join(
                f"{name} ({d})"
                for name, d in zip(objective.objectives, objective.directions, strict=True)
            ),
            "space": self.space.fingerprint,
            "code of the space": self._code(),
            "evaluator": type(self.evaluator).__name__,
        }
        found |= {f"evaluator {k}": str(v) for k, v in objective.evaluator.fingerprint.items()}
        found |= {f"bound on {k}": str(v) for k, v in self.constraints.items()}
        for metric in objective.metrics:
            found |= {f"{metric.name} {k}": str(v) for k, v in metric.fingerprint.items()}
        return found

    def _code(self) -> str:
        return self.space.code or "optnas's own"

    def run(
        self, *, workers: int = 1, progress: bool = True, accept_changes: bool = False
    ) -> Study:
        """Opens the study, or makes it, and runs trials until `trials` are done.

        The settings are those of this search: what earlier runs on the command line overrode,
        and the study remembers, is in `remembered()`.

        The first Ctrl-C finishes what is running, the second gives it up; both raise.

        Args:
            workers: Processes that run trials. More than one need a study file, which they import
                (`load_search("study.py").run(workers=4)`); one is this process.
            progress: Whether to show a progress bar (plain lines where there is no terminal).
            accept_changes: Whether to go on with a study made with other settings.

        Returns:
            The study.

        Raises:
            InputError: The study can't be opened or gone on with, or no architecture is feasible.
            KeyboardInterrupt: It was interrupted.
        """
        check_workers(workers, self.file, self.url)
        study = self.open(accept_changes=accept_changes)
        stop = Stop()
        with (
            Progress(study, self.trials, Console(stderr=True, quiet=not progress)) as display,
            stopping(stop, display.say),
        ):
            self.go_on(study, display, workers=workers, stop=stop, accept_changes=accept_changes)
        if stop.requested:
            raise KeyboardInterrupt
        return study

    def go_on(
        self,
        study: Study,
        display: Display,
        *,
        workers: int = 1,
        stop: Stop | None = None,
        accept_changes: bool = False,
    ) -> None:
        """Runs an open study, here or in processes of its own (see `run`)."""
        if workers == 1:
            hours, accept = self.hours, accept_changes
            self.work(study, display, stop, hours=hours, accept_changes=accept, say=display.say)
            return
        assert self.file is not None
        # Here, where it is seen how far it is; the workers find it done.
        if not self._prepared(study, self.objective(), stop, accept_changes, display.say):
            return
        queue_baselines(study, self.baselines)
        job = Job(
            file=str(self.file.absolute()),
            url=self.url,
            name=self.study_name,
            overrides=self._given(),
            accept_changes=accept_changes,
            epochs=display.interactive,
        )
        run_workers(
            study,
            job,
            workers,
            hours=self.hours,
            threads=self.threads,
            device=self.device,
            trial_timeout=self.trial_timeout,
            logs=self.path("_logs"),
            display=display,
            stop=stop,
        )

    def work(
        self,
        study: Study,
        observer: Observer | None = None,
        stop: Stop | None = None,
        *,
        hours: float | None = None,
        epochs: bool = True,
        accept_changes: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Runs trials of an open study in this process, beside whatever others run."""
        listeners: list[Listener] = []
        if observer is not None and epochs:
            listeners = [lambda t, step, scores: observer.epoch(t.number, step, scores)]
        objective = self.objective(listeners)
        if not self._prepared(study, objective, stop, accept_changes, say):
            return
        with cpu_threads(self.threads):
            run_trials(
                study,
                objective,
                trials=self.trials,
                hours=hours,
                baselines=self.baselines,
                trial_timeout=self.trial_timeout,
                max_failures=self.max_failures,
                observer=observer,
                stop=stop,
            )

    def _prepared(
        self,
        study: Study,
        objective: Objective,
        stop: Stop | None,
        accept_changes: bool,
        say: Callable[[str], None] | None,
    ) -> bool:
        """Whether the evaluator is ready; False if the run was stopped before."""
        stopped = None if stop is None else lambda: stop.requested
        try:
            with cpu_threads(self.threads):
                made = objective.prepare(say, stopped)
        except StoppedError:
            return False
        check_same_weights(study, made, accept_changes)
        return True

    def _given(self) -> dict[str, Any]:
        """The settings that a worker must have from here, and not from the study file."""
        settings = {f.name: getattr(self, f.name) for f in fields(Overrides)}
        settings["evaluator"] = name_of(self.evaluator) or None
        return {k: v for k, v in settings.items() if isinstance(v, (int, float, str))}

    def open(self, *, overrides: Overrides | None = None, accept_changes: bool = False) -> Study:
        """Opens the study, or makes it, with its sampler; writes down what it must remember.

        Raises:
            InputError: The storage can't be opened, or holds another study of this name.
        """
        resolve_device(self.device)
        objective = self.objective()
        fingerprint = self.fingerprint(objective)
        # Last, so that a refused search leaves no empty database behind.
        storage = self.storage
        if not isinstance(storage, BaseStorage):
            storage = open_storage(self.url, create=True)
        study, made = load_or_create(storage, self.study_name, objective.directions)
        accepted: list[str] = []
        if not made:
            changes = check_same_study(study, objective.directions, fingerprint, accept_changes)
            if changes:
                accepted.append(f"from trial {len(study.get_trials(deepcopy=False))}: {changes}")
        name_objectives(study, objective.objectives)
        record = record_of(study)
        known = record.get("fingerprint", {}).get("code of the space") == self._code()
        new = {
            "version": version("optnas"),
            "file": str(self.file.absolute()) if self.file else record.get("file", ""),
            "fingerprint": fingerprint,
            "overrides": record.get("overrides", {}) | (overrides or Overrides()).given(),
            "scores": [*objective.evaluator.provides, *(m.name for m in self.metrics)],
            "accepted": [*record.get("accepted", []), *accepted],
            "size": record.get("size") if known else _size(self.space),
        }
        self._give_sampler(study, objective)
        sweep(objective.checkpoints, study)
        if new != record:
            study.set_user_attr(RECORD, new)
        return study

    def join(self, *, accept_changes: bool = False) -> Study:
        """Opens the study of another process that has made it, with its sampler.

        Raises:
            InputError: Here its numbers would be other ones (another GPU, an edited file).
        """
        study = load_study(open_storage(self.url, create=True), self.study_name)
        if study is None:
            raise InputError(f"study {self.study_name!r} is gone from {shown_url(self.url)}")
        objective = self.objective()
        check_same_study(study, objective.directions, self.fingerprint(objective), accept_changes)
        self._give_sampler(study, objective)
        return study

    def _give_sampler(self, study: Study, objective: Objective) -> None:
        sampler = self.sampler
        own = sampler.seed if isinstance(sampler, HistorySampler) else None
        seed = study_seed(study, own if self.seed is None else self.seed)
        if isinstance(sampler, str):
            study.sampler = make_sampler(sampler, seed)
        elif isinstance(sampler, HistorySampler):
            study_seed(study, own)  # refused if it is another one
            study.sampler = sampler
        else:
            study.sampler = ReseededSampler(lambda _: sampler)
        if isinstance(study.sampler, PredictorSampler):
            study.sampler.fill_in(objective.suggest, objective.preview)


def _size(space: SearchSpace[Any]) -> str:
    try:
        with seeded(0):  # a FunctionSpace builds while it is counted
            return str(space_size(space.suggest))
    except Exception as error:  # in a person's own code, on an architecture nobody asked for
        return f"unknown ({type(error).__name__} while counting: {error})"
