"""PredictorSampler on a small space of networks, with two objectives."""

import optuna
import optunahub


def space(trial):
    for i in range(trial.suggest_int("layers", 1, 3)):
        trial.suggest_int(f"layer{i}.width", 8, 64)


def costs(params):
    return {1: sum(value for name, value in params.items() if name.endswith("width"))}


def objective(trial):
    layers = trial.suggest_int("layers", 1, 3)
    widths = [trial.suggest_int(f"layer{i}.width", 8, 64) for i in range(layers)]
    return 1 / sum(widths), sum(widths)


module = optunahub.load_module(package="samplers/optnas_predictor")
sampler = module.PredictorSampler(space, costs, seed=0)
study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
study.optimize(objective, n_trials=50)
print(study.best_trials)
