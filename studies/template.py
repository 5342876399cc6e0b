"""A study to start from: a search space that is one function, and your own arrays.

It runs as it is (on handwritten digits, in about half a minute):

    optnas run my_study.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import optnas

# 1. Data: arrays of examples and targets. Images are (n, channels, height, width), tables are
#    (n, features). Whole-number targets mean classes, others regression. Your own DataLoaders
#    come in with optnas.Loaders(train, val, task="classification", name="my data v1").
images, labels = load_digits(return_X_y=True)
data = optnas.arrays(images.reshape(-1, 1, 8, 8), labels, val=0.2, test=0.2, name="my digits")


# 2. Search space: a function that draws parameters from an Optuna trial and returns a model.
#    Draw a parameter only where it has an effect: blocks that don't exist have none.
def build(trial):
    layers, channels = [], 1
    for i in range(1, trial.suggest_int("depth", 1, 3) + 1):
        width = trial.suggest_categorical(f"block{i}.channels", [8, 16, 32])
        kernel = trial.suggest_int(f"block{i}.kernel_size", 3, 5, step=2)
        layers += [
            nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


search = optnas.Search(
    space=optnas.FunctionSpace(build, example_inputs=torch.zeros(1, 1, 8, 8)),
    # 3. How a network is evaluated: trained for some epochs, scored on the validation part.
    #    optnas.RecipeSpace searches learning rate, optimizer, … in the same trial; a training
    #    loop of your own comes in with optnas.FunctionEvaluator.
    evaluator=optnas.TrainingEvaluator(data, epochs=10, recipe=optnas.Recipe(learning_rate=0.01)),
    # 4. What to trade off: scores (val_loss, val_accuracy) and metrics (flops, macs, params,
    #    model_size_mb, peak_memory_mb, peak_activation_mb, latency_ms, throughput). Each knows
    #    whether more or less of it is better.
    objectives=("val_accuracy", "params", "latency_ms"),
    # 5. Bounds: what breaks one is not even trained.
    constraints={"params": 20_000},
    # 6. What is of use: networks below this accuracy are trained, but gain nothing.
    reference={"val_accuracy": 0.8},
    # 7. How architectures are chosen (predictor, evolution, local_search, reinforce, qlearning,
    #    gradient; random, tpe, nsgaii, nsgaiii, gp), and how many are evaluated.
    sampler="predictor",
    trials=20,
)
