"""What a sampler must do so that a study goes on in a new process as it would have in the old."""

from __future__ import annotations

import optuna

from optnas.testing.changed_spaces import ChangedSpaceContract


class ResumeContract(ChangedSpaceContract):
    """What a `HistorySampler` must do where its process has learned more than trials.

    `HistorySamplerContract` has these tests.

    To define: `make(seed)`, which returns a new sampler.

    Example:
        ```python
        import optnas
        from optnas.testing.resumed_samplers import ResumeContract


        class TestLocalSearch(ResumeContract):
            def make(self, seed):
                return optnas.LocalSearchSampler(seed=seed)
        ```
    """

    def test_resumes_exactly_where_little_is_left(self) -> None:
        """Around some members of the front everything was tried."""

        def objective(trial: optuna.Trial) -> tuple[float, float]:
            xs = [trial.suggest_int(f"x{i}", 0, 2) for i in range(3)]
            return sum(xs), sum((i + 1) * (x - 2) ** 2 for i, x in enumerate(xs))

        whole = self.study(seed=3)
        whole.optimize(objective, n_trials=23)
        for cut in range(14, 23, 2):
            study = self.study(seed=3)
            study.add_trials(whole.trials[:cut])
            study.optimize(objective, n_trials=1)
            assert study.trials[cut].params == whole.trials[cut].params
