"""The textbook comparison: a small regression MLP and how it is trained, 3,600 choices in all.

    optnas run studies/regression_mlp.py --sampler tpe

Friedman's first function (ten inputs, five of them in use; Friedman 1991), 600 noisy examples. A
val_loss of 1 is what predicting the mean gives. `benchmarks/regression_mlp.py` holds a table of all
3,600 choices and compares the samplers on it.
"""

import torch
from sklearn.datasets import make_friedman1
from torch import nn

import optnas

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh}

data = optnas.arrays(*make_friedman1(600, noise=1.0, random_state=0), name="friedman1")


def build(trial):
    layers, features = [], 10
    depth = trial.suggest_int("num_hidden_layers", 1, 5)
    size = trial.suggest_categorical("hidden_size", [32, 64, 128, 256, 512])
    activation = ACTIVATIONS[trial.suggest_categorical("activation", list(ACTIVATIONS))]
    dropout = trial.suggest_float("dropout", 0.0, 0.6, step=0.2)
    for _ in range(depth):
        layers += [nn.Linear(features, size), activation(), nn.Dropout(dropout)]
        features = size
    return nn.Sequential(*layers, nn.Linear(features, 1))


search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 10)),
    evaluator=optnas.TrainingEvaluator(
        data,
        epochs=15,
        recipe=optnas.RecipeSpace(
            optimizer=("adam", "sgd", "rmsprop"), learning_rate=(0.1, 0.01, 0.001, 0.0001)
        ),
    ),
    objectives=("val_loss",),
    trials=50,
    seed=0,
)
