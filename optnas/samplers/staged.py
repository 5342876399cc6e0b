"""Staged search: some parameters are free for a number of trials, then others, at last all.

Sources: block coordinate descent; for architectures, Liu et al., Progressive neural architecture
search, ECCV 2018 (arXiv 1712.00559), whose surrogate carries over from one stage to the next.

What differs: progressive search makes each stage's architectures larger, and keeps the best of the
stage before. Here a stage frees parameters by their names, and a trial has the others in common
with a member of the front so far. The simplest option isn't known in a define-by-run space, so
before there is a front all parameters are free: the first trial, or baselines and enqueued trials,
say what the others begin as. `Stage(".*", 10)` in front lets the best of ten say so.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.errors import InputError
from optnas.pareto.dominance import losses
from optnas.pareto.front import front_of, is_feasible
from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import ATTEMPTS, HistorySampler
from optnas.samplers.gradient import GradientSampler
from optnas.samplers.history import History
from optnas.samplers.mutation import Genes, genes_of
from optnas.samplers.names import Suggest
from optnas.samplers.proposals import complete
from optnas.samplers.ranking import shortfall
from optnas.samplers.reseeded import ReseededSampler
from optnas.utils.checks import check_counts
from optnas.utils.distributions import contains

DRAFTS = 100
"""How many random architectures are looked at for a parameter that a stage frees."""


@dataclass(frozen=True)
class Stage:
    """A part of a staged search.

    Example:
        ```python
        import optnas

        stage = optnas.Stage(r"depth|.*width", 20)
        ```

    Attributes:
        free: A regular expression; a parameter is free if it matches the whole name.
        trials: The number of trials.

    Raises:
        ValueError: `free` is no regular expression, or `trials` is below 1.
    """

    free: str
    trials: int

    def __post_init__(self) -> None:
        check_counts(trials=self.trials)
        try:
            re.compile(self.free)
        except (re.error, TypeError) as error:
            raise ValueError(
                f"free must be a regular expression for names of parameters, got {self.free!r}: "
                f"{error}"
            ) from None

    def frees(self, name: str) -> bool:
        """Whether a parameter is free in this stage."""
        return re.fullmatch(self.free, name) is not None


class StagedSampler(HistorySampler):
    """Frees some parameters for a number of trials, then others; in the end, all.

    The parameters that a stage doesn't free have the values of a member of the front so far, which
    is drawn at random for each trial. Parameters that the member lacks, because other decisions
    made them unnecessary, are free. So are all as long as the front is empty, where everything
    untried differs from all members in a parameter that isn't free, or where fifty attempts broke
    bounds that are known before training.

    The other sampler draws what is free. It sees all trials of the study, of all stages. Every
    finished trial counts for its stage, a failed one, too, and so does a running one; lost trials
    don't.

    Example:
        ```python
        import optuna

        import optnas

        study = optuna.create_study(
            directions=["minimize", "minimize"],
            sampler=optnas.StagedSampler(
                optnas.RegularizedEvolutionSampler(seed=0),
                [optnas.Stage(r"depth|.*width", 20), optnas.Stage(r".*kernel", 20)],
            ),
        )
        ```

    Attributes:
        stages: As given.

    Args:
        inner: Draws the free parameters: a sampler of optnas, or one of Optuna in a
            `ReseededSampler`, such as `make_sampler("tpe")`.
        stages: In order; after the last one, all parameters are free.
        rounds: How often the stages are gone through.
        seed: The study's seed; by default, that of the other sampler. Without one, the sampler
            takes the seed that the study keeps, or draws one and keeps it there.

    Raises:
        TypeError: `inner` or a stage is of another kind.
        ValueError: There is no stage, a number is below 1, or the two samplers have two seeds.
        InputError: In a `Search`, at its start: a stage frees no parameter of the space. In plain
            Optuna the sampler warns of it, once, after the first trial.
    """

    def __init__(
        self,
        inner: BaseSampler,
        stages: Sequence[Stage],
        *,
        rounds: int = 1,
        seed: int | None = None,
    ) -> None:
        if not isinstance(inner, (HistorySampler, ReseededSampler)):
            if isinstance(inner, str):
                raise TypeError(
                    f"inner must be a sampler, got {inner!r}: give "
                    f"optnas.samplers.make_sampler({inner!r})"
                )
            raise TypeError(
                f"inner must be a sampler of optnas, got {inner!r}; one of Optuna is given as "
                "optnas.samplers.ReseededSampler(lambda seed: TPESampler(seed=seed)), so that "
                "the study resumes exactly"
            )
        if isinstance(inner, GradientSampler):
            raise TypeError(
                "a GradientSampler learns all decisions at once, before the first trial, so it has "
                "no stages: give it as the sampler itself"
            )
        self.stages = tuple(stages)
        if not self.stages:
            raise ValueError("stages must have at least one Stage, got none")
        for stage in self.stages:
            if not isinstance(stage, Stage):
                raise TypeError(f"stages must be of the class Stage, got {stage!r}")
        check_counts(rounds=rounds)
        if seed is not None and inner.seed is not None and seed != inner.seed:
            raise ValueError(f"seed is {seed}, and that of inner {inner.seed}: give one of them")
        super().__init__(inner.seed if seed is None else seed)
        self._inner, self._rounds = inner, rounds
        self._checked = False

    def fill_in(self, suggest: Suggest, preview: Callable[[Mapping[str, Any]], Any]) -> None:
        """Takes what the objective knows before any training; the other sampler does so, too.

        Args:
            suggest: See `HistorySampler`. Each stage must free a parameter that it draws.
            preview: See `HistorySampler`.
        """
        super().fill_in(suggest, preview)
        if isinstance(self._inner, HistorySampler):
            self._inner.fill_in(suggest, preview)
        idle = self._idle(names := _names(suggest, self.stages))
        if idle and names:
            raise InputError(_no_parameter(idle, names))
        self._checked = True

    def check_objectives(self, names: Sequence[str], directions: Sequence[StudyDirection]) -> None:
        """Checks what the other sampler checks."""
        if isinstance(self._inner, HistorySampler):
            self._inner.check_objectives(names, directions)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Checks the seed, and what the other sampler checks."""
        super().before_trial(study, trial)
        self._inner.before_trial(study, trial)

    def start(self, ask: Ask) -> Draw:
        """Fixes what the stage doesn't free, and lets the other sampler draw."""
        history = ask.history
        if isinstance(self._inner, HistorySampler):
            self._inner._open(history.study)  # it has the seed from there
        self._warn(history)
        stage = self.stage(len(history.trials) + len(history.running))
        if stage is not None and ask.attempt < ATTEMPTS // 2:
            members = _front(history)
            for member in ask.rng("stage").sample(members, len(members)):
                genes = genes_of(member).items()
                kept = {n: v for n, (d, v) in genes if not stage.frees(n) and contains(d, v)}
                if ask.fix({**kept, **ask.held}):
                    break
        return _StagedDraw(ask, self._inner.start(ask))

    def _is_counted(self, genes: Genes) -> bool:
        return not isinstance(self._inner, HistorySampler) or self._inner._is_counted(genes)

    def stage(self, trials: int) -> Stage | None:
        """The stage after a number of trials; None if all parameters are free."""
        turn, at = divmod(trials, sum(stage.trials for stage in self.stages))
        if turn >= self._rounds:
            return None
        for stage in self.stages:
            if at < stage.trials:
                return stage
            at -= stage.trials
        return None

    def finish(self, ask: Ask, draw: Draw) -> None:
        """Lets the other sampler store what it needs to remember."""
        if isinstance(self._inner, HistorySampler) and isinstance(draw, _StagedDraw):
            self._inner.finish(ask, draw.inner)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Ends the trial, also for the other sampler."""
        super().after_trial(study, trial, state, values)
        if isinstance(self._inner, ReseededSampler):
            self._inner.after_trial(study, trial, state, values)

    def _warn(self, history: History) -> None:
        if self._checked or not history.trials:
            return
        self._checked = True
        names = list(history.trials[0].params)
        if idle := self._idle(names):
            warnings.warn(_no_parameter(idle, names, "so far "), stacklevel=2)

    def _idle(self, names: Sequence[str]) -> list[Stage]:
        """The stages that free none of these parameters."""
        return [stage for stage in self.stages if not any(map(stage.frees, names))]


class _StagedDraw:
    """Draws the parameters of one trial: what isn't fixed, the other sampler draws."""

    def __init__(self, ask: Ask, inner: Draw) -> None:
        self.inner = inner
        self._ask, self._fixed = ask, ask.inherit(ask.fixed)

    def __call__(self, name: str, distribution: BaseDistribution) -> Any:
        draw = self._fixed if name in self._ask.fixed else self.inner
        return draw(name, distribution)


def _front(history: History) -> list[FrozenTrial]:
    """The members of the front; only those within the reference point, if there are any."""
    trials = [t for t in history.trials if t.state == TrialState.COMPLETE and is_feasible(t)]
    if not trials:
        return []
    directions = history.study.directions
    beyond = shortfall(losses([t.values for t in trials], directions), history.limits)
    near = [trial for trial, far in zip(trials, beyond, strict=True) if far == 0]
    return front_of(near or trials, directions)


def _names(suggest: Suggest, stages: Sequence[Stage]) -> list[str]:
    """The names of parameters of random architectures, until each stage frees one of them."""
    # Not above: they import torch, which takes seconds.
    from optnas.utils.random_state import seeded
    from optnas.utils.silent import silent

    names: dict[str, None] = {}
    rng = Random(0)
    for _ in range(DRAFTS):
        try:
            with seeded(0), silent():  # a FunctionSpace builds while it draws
                genes, _ = complete(suggest, {}, rng)
        except Exception:  # the user's code failed, on an architecture that no trial asked for
            continue
        names |= dict.fromkeys(genes)
        if all(any(map(stage.frees, names)) for stage in stages):
            break
    return list(names)


def _no_parameter(idle: Sequence[Stage], names: Sequence[str], when: str = "") -> str:
    patterns = ", ".join(repr(stage.free) for stage in idle)
    return (
        f"stages: no parameter {when}matches {patterns} as a whole; there are: {', '.join(names)}"
    )
