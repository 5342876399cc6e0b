"""RegularizedEvolutionSampler on a small space of networks, with two objectives."""

import optuna
import optunahub


def objective(trial):
    layers = trial.suggest_int("layers", 1, 3)
    widths = [trial.suggest_int(f"layer{i}.width", 8, 64) for i in range(layers)]
    return 1 / sum(widths), sum(widths)


module = optunahub.load_module(package="samplers/optnas_regularized_evolution")
sampler = module.RegularizedEvolutionSampler(seed=0)
study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
study.optimize(objective, n_trials=50)
print(study.best_trials)
