"""What a run would do, found out without a study: nothing is written.

Networks are drawn at random and counted, one of them is trained for an epoch or for seconds, and
what would end the run with an error is found now.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study

from optnas.devices.device import cpu_threads, resolve_device, usable_cores
from optnas.errors import InputError, exits_refused, with_place
from optnas.objective.objective import Objective
from optnas.runs.progress import number_counted
from optnas.runs.workers import check_workers
from optnas.search.import_check import checked_import
from optnas.search.open import checked_sampling, existing_study, given_seed, takes_new_settings
from optnas.search.random_networks import RandomNetworks
from optnas.search.settings import Settings
from optnas.search.trial_time import TrialTime, trial_time
from optnas.search_spaces.size import size_text
from optnas.storage.file_access import check_writable
from optnas.storage.urls import shown_url
from optnas.study.attributes import SEED
from optnas.study.fingerprint import check_same_study
from optnas.study.seeds import study_seed
from optnas.utils.text import architectures_text, duration, number, plural

NETWORKS = 20
"""The number of random networks that are counted."""


@dataclass(frozen=True)
class DryRun:
    """What a run of a search would do.

    Attributes:
        study: The study's name.
        storage: Where it would lie; passwords aren't shown.
        counted: The trials that count already; None if there is no such study yet.
        trials: The trials to reach.
        sampler: Its name.
        device: Where networks are trained.
        size: The number of architectures in the space, in words.
        drawn: The number of random networks.
        seconds: The time in which they were counted.
        costs: The exact metrics of those that can be built and run, ascending, by name.
        unsound: How many can't be built or run, by the reason; of reasons that differ in numbers
            alone, by the first.
        bounds: The bounds that are known before a training, by name.
        over: How many of the random networks break each of them.
        fitting: How many break none, and can be built and run.
        baselines: What is wrong with a baseline, by its name.
        median: The metrics that aren't counts, of the network that is timed.
        median_over: The bounds that these break, by name.
        scoring: How long scoring takes, or why that isn't known.
        total: Seconds that the trials to come would take; None if that isn't known.
        refused: What would end the run with an error, one sentence each.
    """

    study: str
    storage: str
    counted: int | None
    trials: int
    sampler: str
    device: str
    size: str
    drawn: int = 0
    seconds: float = 0.0
    costs: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    unsound: Mapping[str, int] = field(default_factory=dict)
    bounds: Mapping[str, float] = field(default_factory=dict)
    over: Mapping[str, int] = field(default_factory=dict)
    fitting: int = 0
    baselines: Mapping[str, str] = field(default_factory=dict)
    median: Mapping[str, float] = field(default_factory=dict)
    median_over: Mapping[str, float] = field(default_factory=dict)
    scoring: TrialTime | str = ""
    total: float | None = None
    refused: Sequence[str] = ()

    def __str__(self) -> str:
        return "\n".join(f"{f'{label}:' if label else '':15}{text}" for label, text in self.lines())

    def lines(self) -> Iterator[tuple[str, str]]:
        """The same as text, one line a fact, with its label."""
        done = "a new study" if self.counted is None else "there already"
        yield "study", f"{self.study} in {self.storage}, {done}"
        there = f"{self.counted} of {self.trials} done" if self.counted else str(self.trials)
        yield "trials", f"{there}, by the sampler {self.sampler}, on {self.device}"
        yield "space", architectures_text(self.size)
        if self.costs:
            yield "counted", f"{self.drawn} random networks in {self.seconds:.1f} s"
        for name, values in self.costs.items():
            least, median, most = values[0], values[len(values) // 2], values[-1]
            yield name, f"{number(least)} to {number(most)}, median {number(median)}"
        for reason, count in self.unsound.items():
            yield "don't run", f"{count} of {self.drawn}: {reason}"
        for name, count in self.over.items():
            bound = f"{name} (bound {number(self.bounds[name])})"
            yield "over a bound", f"{count} of {self.drawn} in {bound}"
        if self.costs and not self.fitting:
            yield "nothing fits", "the run looks on, and ends if it finds no network either"
        for name, fault in self.baselines.items():
            yield "baseline", f"{name} {fault}"
        for name, value in self.median.items():
            text = f"{number(value)} of a network of median costs"
            if name in self.median_over:
                text += f", whose bound is {number(self.median_over[name])}"
            yield name, text
        yield from self._time()
        for reason in self.refused:
            yield "refused", reason

    def _time(self) -> Iterator[tuple[str, str]]:
        if self.total is None:
            if self.scoring and not self.refused:
                yield "time", f"unknown: {self.scoring}"
            return
        assert isinstance(self.scoring, TrialTime)
        left = plural(self.trials - (self.counted or 0), "trial")
        yield "time", f"about {duration(self.total)} for {left}: {self.scoring.how}"
        yield "", "of one network of median macs; others, and the sampler, add to it or save some"


def dry_run(search: Settings, *, workers: int = 1, seed: int = 0) -> DryRun:
    """What a run of this search would do; nothing is written (see `Search.dry_run`)."""
    refused: list[str] = []
    objective = search.objective()
    counted = None
    with _noted(refused):
        found = _existing(search)
        counted = None if found is None else number_counted(found)
        _check_study(search, objective, found)
        if workers > 1:
            check_workers(workers, search.file, search.url)
            with checked_import(search, objective, workers=workers):
                pass  # nothing is to be started
    device = search.device
    with _noted(refused):
        device = str(resolve_device(search.device))
    networks = RandomNetworks(objective, seed)
    began = time.perf_counter()
    with _noted(refused), cpu_threads(search.threads):
        networks.count(NETWORKS)
    seconds = time.perf_counter() - began
    if networks.unsound and not networks.sound:
        reason = next(iter(networks.unsound))
        refused.append(f"none of {NETWORKS} random networks can be built and run: {reason}")
    scoring: TrialTime | str = ""
    median: dict[str, float] = {}
    total = None
    if networks.sound and not refused:
        with _noted(refused), cpu_threads(search.threads):
            began = time.perf_counter()
            median = networks.measured()
            each = time.perf_counter() - began + seconds / NETWORKS
            scoring = trial_time(objective.evaluator, *networks.to_train())
            if isinstance(scoring, TrialTime):
                at_once = min(workers, max(usable_cores() // search.threads, 1))
                left = max(search.trials - (counted or 0), 0)
                total = scoring.first + left * (scoring.each + each) / at_once
    return DryRun(
        study=search.study_name,
        storage=shown_url(search.url) if search.url else type(search.storage).__name__,
        counted=counted,
        trials=search.trials,
        sampler=_sampler(search.sampler),
        device=device,
        size=size_text(search.space),
        drawn=NETWORKS,
        seconds=seconds,
        costs={name: tuple(sorted(values)) for name, values in networks.costs.items()},
        unsound=dict(networks.unsound),
        bounds=networks.bounds.limits,
        over={n: c for n, c in networks.over.items() if c},
        fitting=networks.fitting,
        baselines=networks.baselines(),
        median=median,
        median_over=networks.broken_by(median),
        scoring=scoring,
        total=total,
        refused=refused,
    )


@contextmanager
def _noted(refused: list[str]) -> Iterator[None]:
    """Notes what the block raises: what a run would end with."""
    try:
        with exits_refused():
            yield
    except InputError as error:
        refused.append(str(error))
    except Exception as error:  # the user's code failed
        refused.append(with_place(error))


def _existing(search: Settings) -> Study | None:
    """The study, if it is there; it is only read."""
    if not isinstance(search.storage, BaseStorage) and search.location.file is not None:
        check_writable(search.location.file)
    return existing_study(search)


def _check_study(search: Settings, objective: Objective, study: Study | None) -> None:
    fingerprint = search.fingerprint(objective)
    checked_sampling(search, objective)
    if study is not None and not takes_new_settings(study, search, fingerprint):
        check_same_study(study, objective.directions, fingerprint, accept_changes=False)
        if SEED in study.user_attrs:
            study_seed(study, given_seed(search))


def _sampler(sampler: str | BaseSampler) -> str:
    return sampler if isinstance(sampler, str) else type(sampler).__name__
