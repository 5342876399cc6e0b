"""What a sampler must do that proposes past trials with one decision changed."""

from __future__ import annotations

import optuna
from optuna.samplers import BaseSampler

from optnas.testing.common import missing


class ChildContract:
    """What a sampler must do whose suggestions are past trials with one decision changed.

    In addition to `HistorySamplerContract`, for samplers such as evolution with one mutation.

    To define: `make(seed)`, which returns a new sampler.

    Example:
        ```python
        import optnas
        from optnas.testing import ChildContract, HistorySamplerContract


        class TestLocalSearch(HistorySamplerContract, ChildContract):
            def make(self, seed):
                return optnas.LocalSearchSampler(seed=seed)
        ```
    """

    def make(self, seed: int | None) -> BaseSampler:
        """Returns a new sampler with this seed."""
        raise NotImplementedError(missing(self, "make(seed), which returns a new sampler"))

    def test_a_child_differs_in_the_changed_decision_only(self) -> None:
        def objective(trial: optuna.Trial) -> tuple[float, float]:
            depth = trial.suggest_int("depth", 1, 6)
            total = 0
            for i in range(depth):
                total += trial.suggest_int(f"layer{i}.width", 1, 64)
                if trial.suggest_categorical(f"layer{i}.kind", ["conv", "pool"]) == "conv":
                    total += trial.suggest_categorical(f"layer{i}.kernel", [3, 5, 7])
            return abs(total - 100), depth

        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(7))
        study.optimize(objective, n_trials=60)
        trials = study.trials
        for trial in trials[10:]:
            changed = [
                sum(trial.params[k] != p.params[k] for k in trial.params.keys() & p.params.keys())
                for p in trials[: trial.number]
            ]
            assert 1 in changed
