"""Gradients choose the architectures: a relaxed network is trained once, for all preferences.

Outline:
1. `prepare` has the relaxed network trained, unless the study keeps its result (`relaxed`). The
   training itself is `optnas.evaluators.relaxed`, because it needs data and losses; a `Search`
   hands it over (`train_with`).
2. `start` gives the first trials the discretised architectures of the preferences, one each: all
   decisions at their likeliest values. What was tried already is skipped.
3. Later trials are samples: each decision is drawn from the softmax of its logits, under a
   preference drawn for the trial.

Sources: Liu, Simonyan and Yang, DARTS: differentiable architecture search, ICLR 2019 (arXiv
1806.09055): weights and logits in turns, each on its half of the training part, first order; Dong
and Yang, Searching for a robust neural architecture in four GPU hours (GDAS), CVPR 2019 (arXiv
1910.04465): straight-through Gumbel samples; Cai, Zhu and Han, ProxylessNAS, ICLR 2019 (arXiv
1812.00332): expected costs in the loss, and REINFORCE for what has no gradient; Sukthanker et al.,
Multi-objective differentiable neural architecture search (MODNAS), arXiv 2402.18213: a
hypernetwork makes logits of a preference drawn in each step; Ye et al., β-DARTS, CVPR 2022 (arXiv
2203.01665): the regularisation; Liang et al., DARTS+, arXiv 1909.06035: early stopping by the
number of skips.

What differs: weights are those of a supernet as in `SharedWeightsEvaluator`, so any define-by-run
space with `optnas.choose` will do; decisions that aren't relaxed (widths, depths, kernel sizes) are
drawn in each step and learned by REINFORCE. Costs are counted, and no predictor of them is trained.
MODNAS adds up gradients of several devices; here a preference weighs relative changes of the loss
and of the costs. Batch normalisations in operations keep their scales.

Defaults: 50 epochs and the temperatures are those of DARTS and GDAS. The rates are
guesses that found the best operation in small examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import HistorySampler
from optnas.samplers.gradient.relaxed import Proposal, Relaxed, relaxed_of
from optnas.samplers.gradient.settings import MixtureKind, RelaxedSettings
from optnas.samplers.gradient.trainer import Trainer
from optnas.samplers.history import History
from optnas.study.attributes import GRADIENT
from optnas.study.seeds import derived_seed
from optnas.utils.distributions import option, options
from optnas.utils.draws import without


class GradientSampler(HistorySampler):
    """Trains a network of all operations at once, and proposes what its gradients prefer.

    In that *relaxed* network each choice between operations (`optnas.choose`; the operations of a
    `CellSpace` and of a `NASBench201Space`) is a sum of all of them, weighted by learned logits.
    Weights and logits are trained in turns, each on one half of the training part. The loss of the
    logits is the training loss and the expected costs (params, macs, flops, latency), weighted by a
    preference that is drawn for each step; a small network makes logits of a preference. Other
    decisions with up to 32 values, such as widths, are drawn in each step from learned
    probabilities (REINFORCE), and networks of other sizes have slices of the same tensors; further
    ones, such as a dropout in a continuous range, are drawn at random, also in trials.

    Then the trials: first the likeliest architecture of each of `preferences` spread preferences,
    equal ones once; after them, samples of the learned probabilities. All are trained for real.
    Nothing is learned from the trials.

    It needs a search space, data and an evaluator that optnas can differentiate, so it belongs into
    a `Search`. The study keeps what was learned, and the loss that is lost by discretising.

    Example:
        ```python
        import optnas

        data = optnas.digits()
        search = optnas.Search(
            space=optnas.CellSpace.small(data.input_shape, data.outputs),
            evaluator=optnas.TrainingEvaluator(data, epochs=10),
            objectives=("val_loss", "flops"),
            sampler=optnas.GradientSampler(preferences=6, epochs=30),
        )
        ```

    Attributes:
        settings: All but the seed.

    Args:
        preferences: The number of preferences whose architectures are proposed.
        epochs: Passes over each half of the training part.
        mixture: The weights of operations: `gumbel` samples one operation in each step, with the
            gradient of a softmax (GDAS); `softmax` runs all of them (DARTS), which takes several
            times as long.
        temperature: That of the Gumbel samples: the first and the last one. It falls in a line.
        learning_rate: That of the weights, by AdamW. It rises in the first 3 % of the steps, and
            falls along a cosine.
        logit_rate: The learning rate of the logits, by Adam.
        warm_up: The share of the steps in which the weights alone are trained.
        most_skips: The training ends once the share of skips among the likeliest operations, as a
            mean over the preferences, is above this (DARTS+); None sets no limit.
        beta: The final weight of β-DARTS' regularisation, the mean of logsumexp(logits), which
            rises from 0 in a line. 0 has none.
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: A setting is out of range.
        InputError: At the start of a search: the space has nothing to relax, or the evaluator
            trains no network that can be differentiated. In plain Optuna, at the first trial:
            nobody has told what to train (see `train_with`).
    """

    def __init__(
        self,
        *,
        preferences: int = 8,
        epochs: int = 50,
        mixture: MixtureKind = "gumbel",
        temperature: tuple[float, float] = (10.0, 0.1),
        learning_rate: float = 0.01,
        logit_rate: float = 0.05,
        warm_up: float = 0.1,
        most_skips: float | None = None,
        beta: float = 0.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        self.settings = RelaxedSettings(
            preferences,
            epochs,
            mixture,
            temperature,
            learning_rate,
            logit_rate,
            warm_up,
            most_skips,
            beta,
        )
        self._trainer: Trainer | None = None
        self._learned: tuple[History, Relaxed] | None = None

    def train_with(self, trainer: Trainer) -> None:
        """Takes what trains the relaxed network; an `optnas.Search` calls it.

        In plain Optuna, you call it with that of an objective:
        `sampler.train_with(objective.relaxation)`.
        """
        self._trainer = trainer
        self._learned = None

    def prepare(
        self,
        study: Study,
        report: Callable[[str], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> Relaxed:
        """Has the relaxed network trained, unless the study keeps what it learned.

        Raises:
            InputError: It can't be trained, or was trained with other settings.
            StoppedError: It was interrupted; the next call resumes it.
        """
        with self._lock:
            history = self._open(study)
            if self._learned is not None and self._learned[0] is history:
                return self._learned[1]
            if self._trainer is None:
                raise InputError(
                    "a GradientSampler trains a network first, so it has to know the space, the "
                    "data and the evaluator: give it to an optnas.Search (sampler=…), or, in plain "
                    "Optuna, call `sampler.train_with(objective.relaxation)` with an "
                    "optnas.Objective"
                )
            seed = derived_seed(self._study_seed, -1, "relaxed")
            names = dict(self._trainer.names(self.settings, seed))
            found = relaxed_of(study)
            if found is None:

                def keep(made: Relaxed) -> None:
                    # Of two machines without a common folder, the first one's stays.
                    if relaxed_of(study) is None:
                        made.keep(study)

                self._trainer.train(
                    self.settings, seed, report, stopped, lambda: relaxed_of(study), keep
                )
                found = relaxed_of(study)
                assert found is not None
            found.check(names)
            self._learned = history, found
            return found

    def start(self, ask: Ask) -> Draw:
        """Takes the next discretised architecture, or samples one."""
        found = self.prepare(ask.history.study)
        proposals = self._untried(found.proposals, ask.history)
        if ask.attempt < len(proposals):
            return _Discretised(ask, proposals[ask.attempt])
        if not found.proposals:
            return ask.inherit({})
        return _Sample(ask, ask.rng("preference").choice(found.proposals))

    def _untried(self, proposals: Sequence[Proposal], history: History) -> list[Proposal]:
        """The proposals that no trial has, each once, in their order."""
        tried = history.fold(self._none_tried, self._note)
        found: dict[str, Proposal] = {}
        for i, proposal in enumerate(proposals):
            if not proposal.params or i in tried:
                continue
            if not any(_begins(proposal, trial) for trial in history.running):
                found.setdefault(str(proposal.params), proposal)
        return list(found.values())

    def _none_tried(self, history: History) -> set[int]:
        return set()

    def _note(self, tried: set[int], trial: FrozenTrial) -> None:
        assert self._learned is not None
        for i, proposal in enumerate(self._learned[1].proposals):
            if i not in tried and _is_of(proposal, trial.params):
                tried.add(i)

    def finish(self, ask: Ask, draw: Draw) -> None:
        """Keeps the preference and the losses of a discretised architecture with its trial."""
        if isinstance(draw, _Discretised):
            drawn = {name: value for name, _, value in ask.decisions}
            if _is_of(draw.proposal, drawn):
                ask.say(GRADIENT, draw.proposal.facts())

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_learned": None}


class _Discretised:
    """Draws the likeliest value of each decision."""

    def __init__(self, ask: Ask, proposal: Proposal) -> None:
        self.proposal = proposal
        self._choose = ask.inherit(proposal.params)

    def __call__(self, name: str, distribution: BaseDistribution) -> Any:
        return self._choose(name, distribution)


class _Sample:
    """Draws each decision by the softmax of its logits."""

    def __init__(self, ask: Ask, proposal: Proposal) -> None:
        self._ask, self._logits = ask, proposal.logits

    def __call__(self, name: str, distribution: BaseDistribution) -> Any:
        count = options(distribution)
        logits = self._logits.get(key_of(name, count))
        if logits is None or len(logits) != count:
            return self._ask.draw(name, distribution)
        weights = np.exp(np.array(logits) - max(logits)).tolist()
        weights = without(weights, distribution, self._ask.closed(name, distribution))
        rng = self._ask.rng(f"draw:{name}")
        return option(distribution, rng.choices(range(count), weights)[0])


def key_of(name: str, count: int) -> str:
    """The key of a decision's logits: its name, and the number of its options."""
    return f"{name}#{count}"


def _is_of(proposal: Proposal, params: Mapping[str, Any]) -> bool:
    """Whether a trial's parameters are those of a proposal."""
    return all(name in params and params[name] == value for name, value in proposal.params.items())


def _begins(proposal: Proposal, trial: FrozenTrial) -> bool:
    """Whether a running trial, some of whose parameters may not be drawn yet, may be a proposal."""
    learned = {n: v for n, v in trial.params.items() if n in proposal.params}
    return bool(learned) and all(proposal.params[n] == value for n, value in learned.items())
