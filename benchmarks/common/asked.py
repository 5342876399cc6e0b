"""Samplers of other packages that are asked for parameters and told their values (extra `peers`).

They get the parameters that random trials have, each with the distribution that it has there. All
of them are always drawn: what a network doesn't have is ignored.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
import optuna
import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FixedTrial

RANDOM_TRIALS = 200


def distributions(objective, objectives) -> dict[str, BaseDistribution]:
    """The parameters of random trials, by name."""
    study = optuna.create_study(
        directions=["minimize"] * objectives, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, n_trials=RANDOM_TRIALS, catch=(ArithmeticError,))
    found: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        found |= trial.distributions
    return dict(sorted(found.items()))


class SyneTune:
    """MO-REA, multi-objective regularized evolution, with its defaults: 100 parents, 10 a draw."""

    def __init__(self, space, objectives, seed):
        from syne_tune.config_space import (
            choice,
            lograndint,
            loguniform,
            ordinal,
            randint,
            uniform,
        )
        from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler
        from syne_tune.optimizer.schedulers.multiobjective import (
            MultiObjectiveRegularizedEvolution,
        )
        from syne_tune.optimizer.schedulers.single_fidelity_scheduler import (
            SingleFidelityScheduler,
        )

        def converted(of):
            if isinstance(of, CategoricalDistribution):
                return choice(list(of.choices))
            if isinstance(of, IntDistribution) and of.step == 1:
                return (lograndint if of.log else randint)(of.low, of.high)
            if isinstance(of, FloatDistribution) and of.step is None:
                return (loguniform if of.log else uniform)(of.low, of.high)
            steps = round((of.high - of.low) / of.step)
            return ordinal([of.low + i * of.step for i in range(steps + 1)])

        config = {name: converted(of) for name, of in space.items()}
        searcher = MultiObjectiveRegularizedEvolution(config, random_seed=seed)
        names = [f"value{i}" for i in range(objectives)]
        self._scheduler = AskTellScheduler(
            SingleFidelityScheduler(config, names, True, searcher, random_seed=seed)
        )

    def ask(self):
        """A trial, and its parameters."""
        trial = self._scheduler.ask()
        return trial, trial.config

    def tell(self, trial, values):
        """Gives the values of a trial, or None if it failed."""
        if values is None:
            self._scheduler.base_scheduler.on_trial_error(trial)
        else:
            self._scheduler.tell(trial, {f"value{i}": v for i, v in enumerate(values)})


class Ax:
    """What Ax chooses: Sobol trials, then qLogNEHVI on a Gaussian process."""

    def __init__(self, space, objectives, seed):
        from ax.api.client import Client
        from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

        kinds = {bool: "bool", int: "int", float: "float", str: "str"}

        def converted(name, of):
            if isinstance(of, CategoricalDistribution):
                choices = list(of.choices)
                kind = kinds[type(choices[0])]
                return ChoiceParameterConfig(name, choices, kind, is_ordered=False)
            kind = "int" if isinstance(of, IntDistribution) else "float"
            scaling = "log" if of.log else "linear"
            return RangeParameterConfig(name, (of.low, of.high), kind, of.step, scaling)

        torch.manual_seed(seed)  # `Client(random_seed=)` would draw the same candidates each time
        np.random.seed(seed)
        self._client = Client()
        self._client.configure_experiment([converted(n, of) for n, of in space.items()])
        self._client.configure_optimization(", ".join(f"-value{i}" for i in range(objectives)))
        self._client.configure_generation_strategy(initialization_random_seed=seed)

    def ask(self):
        """A trial, and its parameters."""
        ((trial, params),) = self._client.get_next_trials(1).items()
        return trial, params

    def tell(self, trial, values):
        """Gives the values of a trial, or None if it failed."""
        if values is None:
            self._client.mark_trial_failed(trial)
        else:
            data = {f"value{i}": float(v) for i, v in enumerate(values)}
            self._client.complete_trial(trial, data)


ASKED = {"Syne Tune MO-REA": SyneTune, "Ax": Ax}


def run_asked(name, objective, objectives, seed, budget):
    """Values of the trials in order, shape (budget, objectives), and the share of repeats.

    The values of a trial that failed are infinite.
    """
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = ASKED[name](distributions(objective, objectives), objectives, seed)
    for logger in list(logging.root.manager.loggerDict):
        if logger.split(".")[0] in ("ax", "syne_tune"):
            logging.getLogger(logger).setLevel(logging.ERROR)
    found, different = [], set()
    for _ in range(budget):
        trial, params = sampler.ask()
        fixed = FixedTrial(params)
        try:
            values = objective(fixed)
        except ArithmeticError:
            values = None
        sampler.tell(trial, values)
        different.add(str(sorted(fixed.params.items())))
        found.append([np.inf] * objectives if values is None else values)
    return np.array(found, dtype=float), 1 - len(different) / budget
