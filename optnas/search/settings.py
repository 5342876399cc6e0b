"""The settings of a search: their checks, and what is derived from them."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from types import NoneType
from typing import Any, Self

from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study

from optnas.devices.device import check_device_name
from optnas.errors import InputError
from optnas.evaluators import Evaluator
from optnas.evaluators.abilities import configured
from optnas.evaluators.by_name import by_name
from optnas.evaluators.function import Train
from optnas.metrics import Metric
from optnas.objective.as_given import Names, as_given
from optnas.objective.baselines import read_baselines
from optnas.objective.choose_metrics import check_settings, choose_metrics, settings_of
from optnas.objective.folders import StudyFolders
from optnas.objective.objective import Objective
from optnas.objective.run_evaluator import Listener
from optnas.objective.target import Target, as_target, bounds_of
from optnas.runs.listeners import RunListener, check_listeners, epoch_functions
from optnas.runs.time_limit import check_timeout
from optnas.samplers import make_sampler
from optnas.search.named_settings import with_settings
from optnas.search.neighbours import import_from
from optnas.search.warm_start import read_warm_start
from optnas.search_spaces import SearchSpace
from optnas.storage.urls import Location, database_url
from optnas.study.folders import default_url
from optnas.study.record import Overrides
from optnas.study.reference import Given, check_reference, parse_reference
from optnas.utils.code_hash import class_code
from optnas.utils.text import ADDRESS

LOWEST = {
    "trials": 1,
    "until_flat": 0,
    "threads": 1,
    "epochs": 1,
    "max_failures": 1,
    "seed": 0,
}
"""The lowest value of each setting that is a whole number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Settings:
    """The settings of a `Search`, which documents them, and what is derived from them.

    They are a class of their own so that the functions which open and run a study take them, and
    `Search`, whose methods call those functions, stands above both.
    """

    space: SearchSpace[Any]
    evaluator: Evaluator | Train
    objectives: Names
    constraints: Mapping[str, float] = field(default_factory=dict)
    target: str | Target | None = None
    metrics: Sequence[Metric] = ()
    baselines: Mapping[str, Any] = field(default_factory=dict)
    sampler: str | BaseSampler = "predictor"
    trials: int = 40
    hours: float | None = None
    until_flat: int = 0
    seed: int | None = None
    device: str = "auto"
    threads: int = 1
    epochs: int | None = None
    early_stop: bool = False
    reference: Given = ""
    warm_start: str | Path | Study = ""
    trial_timeout: float | None = None
    max_failures: int = 3
    name: str = ""
    storage: str | Path | BaseStorage = ""
    weights: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    listeners: Sequence[Listener | RunListener] = ()
    file: Path | None = None
    folder: Path = Path()
    root: Path = field(default_factory=Path.cwd)

    def __post_init__(self) -> None:
        for name, lowest in LOWEST.items():
            object.__setattr__(self, name, _whole(name, getattr(self, name), lowest))
        for name in ("hours", "trial_timeout"):
            if not isinstance(value := getattr(self, name), (Real, NoneType)):
                raise InputError(f"{name} must be a number, or None for no limit, got {value!r}")
        if self.hours is not None and not self.hours > 0:
            raise InputError(f"hours must be above 0 (inf sets no limit), got {self.hours:g}")
        check_timeout(self.trial_timeout)
        if not isinstance(self.name, str):
            raise InputError(f"name must be a text, got {self.name!r}: leave it out for the file's")
        if any("\ud800" <= character <= "\udfff" for character in self.name):
            raise InputError(
                f"name {self.name!r} is no text in this locale, which has no such characters: set "
                "LC_ALL=C.UTF-8 or PYTHONUTF8=1, or give a name of ASCII characters"
            )
        if not self.name.isprintable():
            raise InputError(f"name {self.name!r} must have printable characters alone")
        if isinstance(self.sampler, str):
            make_sampler(self.sampler)
        elif not isinstance(self.sampler, BaseSampler):
            raise InputError(f"sampler must be a name or an Optuna sampler, got {self.sampler!r}")
        check_device_name(self.device)
        object.__setattr__(self, "listeners", check_listeners(self.listeners))
        evaluator, names = as_given(self.evaluator, self.objectives, self.metrics)
        if self.settings:
            space, evaluator = with_settings(self.space, evaluator, self.settings)
            object.__setattr__(self, "space", space)
        object.__setattr__(self, "evaluator", evaluator)
        object.__setattr__(self, "objectives", names)
        object.__setattr__(self, "target", as_target(self.target))
        check_settings(self.space, evaluator, names, self.constraints, self.early_stop)
        bounds, metrics = self.bounds, self.all_metrics
        choose_metrics(names, bounds, metrics, self._evaluator(), self.space, self.device)
        read_baselines(self.space, self.baselines)
        check_reference(self.reference, names, list(self.baselines))
        if not isinstance(self.storage, BaseStorage):
            if not isinstance(self.storage, (str, os.PathLike)):
                raise InputError(
                    "storage must be a file, a URL or an Optuna storage, got "
                    f"{self.storage!r}: leave it out for a file next to the study's"
                )
            url = database_url(self.storage) or str(self.storage)
            object.__setattr__(self, "storage", url)
        _ = self.location.file  # raises if the storage is no URL
        older = read_warm_start(self.warm_start, self.sampler, self.root)
        object.__setattr__(self, "warm_start", older)

    @property
    def study_name(self) -> str:
        """The given name, or that of the study file, or `search`."""
        return self.name or (self.file.stem if self.file else "search")

    @property
    def url(self) -> str:
        """The storage's URL, given or by default; empty for a storage object."""
        if isinstance(self.storage, BaseStorage):
            return ""
        return str(self.storage) or default_url(self.folder, self.study_name, self.root)

    @property
    def location(self) -> Location:
        """Where the storage lies."""
        return Location(self.url, self.root)

    @property
    def bounds(self) -> dict[str, float]:
        """The constraints and the bounds of the target, by name."""
        return bounds_of(self.constraints, self._target)

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The given metrics, and those of the target."""
        return (*self.metrics, *(self._target.metrics if self._target else ()))

    @property
    def _target(self) -> Target | None:
        assert not isinstance(self.target, str)  # since `__post_init__`
        return self.target

    def override(self, overrides: Overrides) -> Self:
        """This search with some settings replaced."""
        given = overrides.given()
        if "evaluator" in given:
            given["evaluator"] = by_name(given["evaluator"], self._given_evaluator)
        if "reference" in given:
            given["reference"] = parse_reference(given["reference"], list(self.baselines))
        try:
            return replace(self, **given)  # it reads a target's text
        except InputError:
            raise
        except ValueError as error:  # the parts don't fit together any more
            changed = " ".join(f"{name}={text}" for name, text in given.get("settings", {}).items())
            raise InputError(f"{changed}: {error}" if changed else str(error)) from error

    def objective(self, listeners: Sequence[Listener] = ()) -> Objective:
        """The objective, as `study.optimize` takes it: a new one at each call.

        Args:
            listeners: Called after each epoch, in addition to those of the search.
        """
        self.import_own()
        objective = Objective(
            self.space,
            self._evaluator(),
            self.objectives,
            constraints=self.bounds,
            metrics=self.all_metrics,
            baselines=self.baselines,
            seed=self.seed,
            device=self.device,
            listeners=[*listeners, *epoch_functions(self.listeners)],
            early_stop=self.early_stop,
            reference=self.reference,
        )
        objective.folders = StudyFolders(self.location, weights=self.weights)
        return objective

    def import_own(self) -> None:
        """Lets the study file's code import the modules of its folder, not of another study's."""
        if self.file is not None:
            import_from((self.root / self.file).absolute().parent)

    @property
    def _given_evaluator(self) -> Evaluator:
        assert isinstance(self.evaluator, Evaluator)  # since `__post_init__`
        return self.evaluator

    def _evaluator(self) -> Evaluator:
        device = None if self.device == "auto" else self.device
        return configured(self._given_evaluator, device=device, epochs=self.epochs)

    def fingerprint(self, objective: Objective) -> dict[str, str]:
        """What must stay the same for a study's numbers to be comparable, as flat text.

        Args:
            objective: An objective of this search.

        Raises:
            InputError: An entry has an address in it, or two have one name.
        """
        found: dict[str, str] = {}
        for key, text in self._told_apart_by(objective):
            if key in found:
                raise InputError(
                    f"two settings would be stored as {key!r}: give the metric or the entry of the "
                    "evaluator's fingerprint another name"
                )
            if ADDRESS.search(text):
                raise InputError(
                    f"the {key} is {text}, which holds an address in memory, another one in each "
                    "process, so that no later run could be told to be the same: give that object "
                    "a __repr__ of its settings, for example by making its class a dataclass"
                )
            found[key] = text
        return found

    def _told_apart_by(self, objective: Objective) -> Iterator[tuple[str, str]]:
        """The entries of the fingerprint."""
        directions = zip(objective.objectives, objective.directions, strict=True)
        yield "objectives", ", ".join(f"{name} ({d})" for name, d in directions)
        yield "space", self.space.fingerprint
        yield "code of the space", self.code
        yield "evaluator", type(self.evaluator).__name__
        if code := class_code(self.evaluator):
            yield "evaluator's code", code
        for name, value in objective.evaluator.fingerprint.items():
            yield f"evaluator {name}", str(value)
        yield from settings_of(objective.metrics, self.bounds)

    @property
    def code(self) -> str:
        """A hash of the user's code that defines the space."""
        return self.space.code or "optnas's own"


def _whole(name: str, value: Any, lowest: int) -> int | None:
    """The value of a setting that must be a whole number; None where that is the default."""
    if value is None and name in ("epochs", "seed"):
        return None
    try:
        number = operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} must be a whole number, got {value!r}") from error
    if not lowest <= number < 2**31:
        raise InputError(f"{name} must be at least {lowest} (below 2^31), got {number}")
    return number
