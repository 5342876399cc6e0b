"""Settings by name, as `--set` gives them: the same as in the study file."""

import json
import pickle
from dataclasses import asdict, dataclass, replace

import pytest
import torch
from optuna.distributions import FloatDistribution
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.search.job import overrides_for_workers
from optnas.study.record import Overrides

DATA = optnas.diabetes()


def search(tmp_path, space=None, evaluator=None, **settings):
    given = {
        "space": space or optnas.MLPSpace((10,), 1),
        "evaluator": evaluator or optnas.TrainingEvaluator(DATA),
        "objectives": ("val_loss", "params"),
        "storage": tmp_path / "study.db",
        "seed": 0,
        "trials": 1,
        "device": "cpu",
    }
    return optnas.Search(**given | settings)


def fingerprint(one):
    return one.fingerprint(one.objective())


def by_name(**settings):
    return Overrides(settings={name.replace("__", "."): text for name, text in settings.items()})


def test_a_setting_by_name_is_the_same_as_in_the_file(tmp_path):
    recipe = optnas.Recipe(learning_rate=0.01, optimizer="sgd", batch_size=None)
    in_file = search(
        tmp_path,
        optnas.MLPSpace((10,), 1, depth=(1, 2), width=(8, 16), activations=("relu",)),
        optnas.TrainingEvaluator(DATA, epochs=5, recipe=recipe, accuracy=False),
    )
    given = by_name(
        space__depth="1,2",
        space__width="(8, 16)",
        space__activations="relu",
        recipe__learning_rate="1e-2",
        recipe__optimizer="sgd",
        recipe__batch_size="none",
        evaluator__epochs="5",
        evaluator__accuracy="false",
    )
    found = search(tmp_path).override(given)
    assert found.space == in_file.space  # with the width's step that follows from the width
    assert fingerprint(found) == fingerprint(in_file)
    assert fingerprint(found) != fingerprint(search(tmp_path))


def test_settings_of_a_searched_recipe_are_fixed_or_chosen_from(tmp_path):
    rate = FloatDistribution(1e-4, 1e-1, log=True)
    evaluator = optnas.TrainingEvaluator(DATA, recipe=optnas.RecipeSpace(learning_rate=rate))
    one = search(tmp_path, evaluator=evaluator)
    found = one.override(by_name(recipe__learning_rate="0.01", recipe__batch_size="16,32"))
    assert found.evaluator.recipe == optnas.RecipeSpace(learning_rate=0.01, batch_size=(16, 32))
    assert one.evaluator.recipe.learning_rate is rate


def test_shared_weights_have_settings_and_those_of_their_training(tmp_path):
    shared = optnas.SharedWeightsEvaluator(optnas.TrainingEvaluator(DATA))
    given = by_name(
        evaluator__steps="30", evaluator__training__epochs="4", recipe__learning_rate="0.5"
    )
    found = search(tmp_path, evaluator=shared).override(given).evaluator
    assert (found.steps, found.training.epochs) == (30, 4)
    assert found.training.recipe.learning_rate == 0.5
    assert found.recipe == shared.recipe
    other = search(tmp_path).override(replace(given, evaluator="shared")).evaluator
    assert (other.steps, other.training.epochs) == (30, 4)


class Net(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Linear(10, width), nn.Linear(width, 1))


class OwnEvaluator(optnas.Evaluator):
    provides = {"loss": "minimize"}  # noqa: RUF012

    def __init__(self, rate, *, decay: float = 0.5, **others):
        self._all = {"rate": rate, "decay": decay, **others}

    @property
    def fingerprint(self):
        return self._all

    def suggest(self, trial):
        return ""

    def evaluate(self, candidate, recipe, report):
        return {"loss": 1.0}


@dataclass(frozen=True)
class OwnSpace(optnas.SearchSpace):
    widths: tuple[int, ...]

    @property
    def example_inputs(self):
        return torch.zeros(1, 10)

    def suggest(self, trial):
        return trial.suggest_categorical("width", self.widths)

    def build(self, width):
        return Net(width)


def test_spaces_and_evaluators_of_your_own_have_settings_too(tmp_path):
    one = search(tmp_path, OwnSpace((1, 2)), OwnEvaluator(0.1, more=1), objectives=("loss",))
    names = {"space.widths": "4", "evaluator.rate": "0.3", "evaluator.decay": "1"}
    found = one.override(Overrides(settings=names | {"evaluator.more": "2"}))
    assert found.space == OwnSpace((4,))
    assert found.evaluator.fingerprint == {"rate": 0.3, "decay": 1.0, "more": 2}
    assert type(found.evaluator.fingerprint["decay"]) is float
    space = optnas.ModelSpace(Net, {"width": [1, 2]}, torch.zeros(1, 10))
    of_model = search(tmp_path, space, OwnEvaluator(1), objectives=("loss",))
    assert of_model.override(by_name(space__choices__width="8,16,32")).dry_run().size == "3"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("space.dpeth", "1,2", r"MLPSpace has no setting 'dpeth'; there are: .*mean depth"),
        ("recipe.lr", "1", "Recipe has no setting 'lr'; there are: optimizer, learning_rate"),
        ("depth", "1", "the part is one of space, evaluator, recipe"),
        ("space.", "1", "the part is one of space"),
        ("space.depth", "1", "space.depth=1: depth is 2 values with commas between"),
        ("space.depth", "1,x", "depth is a whole number"),
        ("space.depth", "3,1", r"1 <= low <= high, got \(3, 1\)"),
        ("space.depth.least", "1", "has no settings that can be named"),
        ("recipe.optimizer", "lion", "one of adam, adamw"),
        ("recipe.flip", "yes", "flip is true or false"),
        ("evaluator.epoch", "first", "epoch is one of last, best"),
        ("evaluator.recipe", "sgd", "name one of its settings, as recipe.optimizer"),
        ("evaluator.data", "digits", "data is an object, which the study file alone can give"),
        ("evaluator.epochs", "0", "epochs must be at least 1"),
    ],
)
def test_what_cannot_be_set_says_what_can(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message):
        search(tmp_path).override(Overrides(settings={name: text}))


@pytest.mark.parametrize(
    ("name", "text", "objectives", "message"),
    [
        (
            "space.input_shape",
            "9",
            ("val_loss", "params"),
            r"inputs of shape \(1, 9\)",
        ),
        ("evaluator.accuracy", "false", ("val_accuracy", "params"), "val_accuracy"),
    ],
)
def test_settings_that_no_longer_fit_the_rest_are_named(tmp_path, name, text, objectives, message):
    data = optnas.digits()
    one = search(
        tmp_path,
        optnas.MLPSpace((1, 8, 8), 10),
        optnas.TrainingEvaluator(data),
        objectives=objectives,
    )
    with pytest.raises(InputError, match=rf"^{name}={text}: .*{message}"):
        one.override(Overrides(settings={name: text}))


def test_settings_are_remembered_and_reach_the_workers(tmp_path):
    one = search(tmp_path)
    given = by_name(space__depth="1,1", evaluator__epochs="1")
    one.override(given).open(overrides=given)
    assert one.remembered() == given
    again = one.override(one.remembered())
    again.open()  # the fingerprint is that of the study
    sent = Overrides(**json.loads(json.dumps(overrides_for_workers(again))))
    assert fingerprint(one.override(sent)) == fingerprint(again)
    later = one.remembered().updated(by_name(space__depth="", recipe__warmup="0.1"))
    assert later.settings == {"evaluator.epochs": "1", "recipe.warmup": "0.1"}
    assert given.as_options() == {"--set=space.depth=1,1": "", "--set=evaluator.epochs=1": ""}


def test_a_copy_has_no_arguments_and_says_so(tmp_path):
    copied = pickle.loads(pickle.dumps(optnas.MLPSpace((10,), 1)))
    assert copied == optnas.MLPSpace((10,), 1)
    assert asdict(copied) == asdict(optnas.MLPSpace((10,), 1))
    evaluator = optnas.TrainingEvaluator(DATA).configured(epochs=3)
    with pytest.raises(InputError, match="is a copy of another one"):
        search(tmp_path, evaluator=evaluator).override(by_name(evaluator__epochs="2"))
