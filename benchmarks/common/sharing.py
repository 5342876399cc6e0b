"""What the benchmarks of shared weights share: the tasks, their networks, and the supernets."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import optnas
from optnas.search.study_file import load_search
from optnas.utils.draft import Draft

STUDY = Path(__file__).parents[2] / "studies" / "digits_shared.py"
FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
TASKS = ("digits", "fashion")
STEPS = {"fashion": 4_000}
"""Of the supernet's training, where they aren't the study's."""


@cache
def training(name, epochs):
    """The evaluator that trains networks for real."""
    if name == "digits":
        return load_search(STUDY).evaluator.training.configured(epochs=epochs)
    data = optnas.idx_images(FASHION_MNIST, train=6_000, val=500)
    return optnas.TrainingEvaluator(data, epochs, recipe=optnas.Recipe(learning_rate=0.01))


def shared(name, seed, epochs):
    """The evaluator that scores networks with weights that all of them share."""
    return sharing_of(training(name, epochs), seed, STEPS.get(name))


def sharing_of(evaluator, seed, steps=None):
    """The same, for an evaluator that trains; by default the supernet has the study's steps."""
    study = load_search(STUDY).evaluator
    recipe = replace(study.recipe, seed=seed)
    return optnas.SharedWeightsEvaluator(evaluator, steps or study.steps, recipe=recipe)


def train_supernet(search):
    """Trains the supernet of a search, and keeps it where the search's runs find it."""
    objective = search.objective()
    objective.open_folders(search.open())
    objective.prepare()


@cache
def space(name):
    """Networks of up to five blocks for digits; for Fashion-MNIST up to four, narrower ones."""
    study = load_search(STUDY)
    if name == "digits":
        return study.space
    network = study.space._build.__globals__["Network"]

    def build(trial):
        return network(
            [
                (
                    trial.suggest_categorical(f"block{i}.channels", (4, 8, 16)),
                    trial.suggest_categorical(f"block{i}.kernel_size", (1, 3, 5)),
                )
                for i in range(1, trial.suggest_int("depth", 1, 4) + 1)
            ]
        )

    return optnas.FunctionSpace(build, training(name, 1).data.train[0][:1])


def architectures(name, number):
    """Different ones, drawn at random."""
    rng, found = Random(0), {}
    while len(found) < number:
        architecture = space(name).suggest(Draft({}, rng))
        found.setdefault(str(architecture), architecture)
    return list(found.values())
