import sys
from dataclasses import replace

import optuna
import pytest
import torch
from networks import build_linear, score
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator
from optnas.search.study_file import load_search
from optnas.search_spaces import FunctionSpace
from optnas.storage.open import open_storage
from optnas.study.attributes import SEED
from optnas.study.fingerprint import differences
from optnas.study.load import find_study
from optnas.study.record import RECORD, Overrides


def other_build(trial):
    return build_linear(trial)


def test_runs_from_python_and_keeps_everything_in_one_file(search, tmp_path, capsys):
    study = search.run()
    assert len(study.trials) == 6
    assert (tmp_path / "tiny.db").is_file()
    assert study.metric_names == ["loss", "params"]
    record = study.user_attrs[RECORD]
    assert record["size"] == "12"
    assert record["scores"] == ["loss"]
    assert record["fingerprint"]["objectives"] == "loss (minimize), params (minimize)"
    lines = capsys.readouterr().err.splitlines()
    assert [line[:13] for line in lines[:-1]] == [f"[{n + 1}/6] trial {n}" for n in range(6)]
    assert lines[0].startswith("[1/6] trial 0  loss ")
    assert lines[-1].startswith("the front has 4 networks: optnas.front(study) ")
    again = search.run(progress=False)
    assert [t.params for t in again.trials] == [t.params for t in study.trials]


def test_goes_on_as_if_it_had_never_stopped(search):
    whole = replace(search, name="whole", trials=12).run(progress=False)
    for trials in (1, 5, 12):
        cut = replace(search, name="cut", trials=trials).run(progress=False)
    assert [t.params for t in cut.trials] == [t.params for t in whole.trials]
    assert [t.values for t in cut.trials] == [t.values for t in whole.trials]


def test_best_model_has_the_trained_weights(search):
    def fill(model, recipe, report):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.5)
        return score(model, recipe, report)

    search = replace(
        search,
        evaluator=FunctionEvaluator(fill, {"loss": "minimize"}),
        baselines={"one": lambda: nn.Linear(2, 1)},
    )
    study = search.run(progress=False)
    best = optnas.best_model(study, search)
    assert float(best(torch.ones(1, 2)).detach()) > 0
    assert {p.mean().item() for p in best.parameters()} == {0.5}
    smallest = optnas.best_model(study, search, by="params")
    assert isinstance(smallest, nn.Linear)  # the baseline
    assert optnas.best_model(study, search, trial=0).weight.shape == (1, 2)
    with pytest.raises(InputError, match="unknown objective 'speed'; there are: loss, params"):
        optnas.best_model(study, search, by="speed")
    with pytest.raises(InputError, match="trial 77 is not on the front; these are: 0"):
        optnas.best_model(study, search, trial=77)


def test_best_model_of_an_empty_study(search):
    with pytest.raises(InputError, match="no COMPLETE trial yet"):
        optnas.best_model(search.open(), search)


def test_overrides_are_remembered(search):
    overrides = Overrides(trials=2, sampler="nsgaii", seed=5)
    search.override(overrides).open(overrides=overrides)
    assert replace(search, seed=None).remembered() == overrides
    later = Overrides(trials=3)
    search.override(search.remembered()).override(later).open(overrides=later)
    assert search.remembered() == Overrides(trials=3, sampler="nsgaii", seed=5)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"objectives": ("params", "loss")}, "objectives: loss .* there, params .* here"),
        ({"objectives": ("loss", "macs")}, "it is another one"),
        ({"objectives": ("loss",)}, "it is another one"),
        (
            {"space": FunctionSpace(other_build, torch.zeros(1, 2))},
            r"space: FunctionSpace\(build_linear\) there, FunctionSpace\(other_build\) here",
        ),
    ],
)
@pytest.mark.parametrize("accept_changes", [False, True])
def test_another_study_of_the_same_name_is_refused(search, change, difference, accept_changes):
    study = search.run(progress=False)
    before = study.user_attrs, [t.values for t in study.trials]
    with pytest.raises(InputError, match=difference):
        replace(search, **change).run(accept_changes=accept_changes)
    after = find_study(search.url)
    assert (after.user_attrs, [t.values for t in after.trials]) == before


def test_numbers_that_cannot_be_compared_are_refused_unless_accepted(search):
    search.run(progress=False)
    changed = replace(search, constraints={"params": 30}, trials=7)
    with pytest.raises(
        InputError, match=r"bound on params: nothing there, 30 here.*accept_changes"
    ):
        changed.run()
    assert len(changed.run(progress=False, accept_changes=True).trials) >= 7
    changed.run(progress=False)


def test_a_study_of_plain_optuna_is_not_taken_over(search):
    study = optuna.create_study(
        study_name="tiny",
        storage=open_storage(search.url, create=True),
        directions=["minimize"] * 2,
    )
    study.add_trial(optuna.create_trial(values=[1.0, 2.0]))
    with pytest.raises(InputError, match="wasn't made by optnas"):
        search.run()


def test_another_seed_is_refused(search):
    search.run(progress=False)
    with pytest.raises(InputError, match="has seed 1, and 2 was given"):
        replace(search, seed=2).run()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "trials must be at least 1 .*, got 0"),
        ({"trials": 2.5}, "trials must be a whole number, got 2.5"),
        ({"name": "a\nb"}, "must have printable characters alone"),
        ({"name": None}, "name must be a text, got None"),
        ({"hours": "2"}, "hours must be a number, .* got '2'"),
        ({"trial_timeout": "60"}, "trial_timeout must be a number, .* got '60'"),
        ({"hours": 0}, "hours must be above 0 .*, got 0"),
        ({"hours": float("nan")}, "hours must be above 0 .*, got nan"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"sampler": "best"}, "unknown sampler 'best'"),
        ({"objectives": ("loss", "speed")}, "unknown objective or constraint 'speed'"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"evaluator": 3}, "must be an Evaluator"),
        ({"sampler": 3}, "must be a name or an Optuna sampler"),
    ],
)
def test_bad_settings_are_refused(search, change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        replace(search, **change)


def test_a_sampler_object_and_a_storage_object(search):
    search = replace(
        search,
        sampler=optuna.samplers.NSGAIISampler(seed=1, population_size=4),
        storage=optuna.storages.InMemoryStorage(),
        weights=False,
    )
    assert search.url == ""
    assert len(search.run(progress=False).trials) == 6


@pytest.mark.parametrize(
    "sampler",
    [
        optuna.samplers.GridSampler(
            {"width": [1, 2], "deep": [True], "activation": ["relu", "tanh"]}, seed=0
        ),
        optuna.samplers.BruteForceSampler(seed=0),
    ],
)
def test_a_sampler_that_runs_out_of_points_leaves_the_number_of_trials_alone(search, sampler):
    """They call `Study.stop`, which Optuna allows in `study.optimize` alone."""

    def build(trial):
        width = trial.suggest_int("width", 1, 2)
        trial.suggest_categorical("deep", [True])
        layer = {"relu": nn.ReLU, "tanh": nn.Tanh}[
            trial.suggest_categorical("activation", ["relu", "tanh"])
        ]
        return nn.Sequential(nn.Linear(2, width), layer(), nn.Linear(width, 1))

    space = FunctionSpace(build, torch.zeros(1, 2))
    study = replace(search, space=space, sampler=sampler, trials=6).run(progress=False)
    points = [tuple(trial.params.values()) for trial in study.trials]
    assert len(points) == 6
    assert len(set(points)) == 4
    objective = replace(search, space=space).objective()
    wrapped = optnas.samplers.ReseededSampler(lambda seed: sampler, seed=1)
    study = optuna.create_study(directions=objective.directions, sampler=wrapped)
    study.optimize(objective, 6)
    assert len(study.trials) == 4


def test_a_space_that_cannot_be_counted_is_run_all_the_same(search, evaluator):
    def build(trial):
        if trial.suggest_int("width", 1, 50) > 40:
            raise ArithmeticError("too wide")
        return nn.Linear(2, trial.suggest_int("outputs", 1, 2))

    space = FunctionSpace(build, torch.zeros(1, 2))
    study = replace(search, space=space, trials=2).run(progress=False)
    assert study.user_attrs[RECORD]["size"].startswith("unknown (ArithmeticError")


def test_find_study_by_name(search):
    search.run(progress=False)
    replace(search, name="second", storage=search.url).run(progress=False)
    assert find_study(search.url, "second").study_name == "second"
    with pytest.raises(InputError, match=r"holds 2 studies \(tiny, second\): give `name=`"):
        find_study(search.url)
    with pytest.raises(InputError, match="holds no study 'third'; there are: tiny, second"):
        find_study(search.url, "third")


def test_a_device_is_looked_for_when_the_study_is_opened(search):
    elsewhere = replace(search, device="cuda:99")
    with pytest.raises(InputError, match="isn't on this machine"):
        elsewhere.open()
    assert replace(elsewhere, device="cpu").run(progress=False).trials


def test_edited_code_is_noticed_and_can_be_accepted(search, tmp_path):
    """Comments may change; what the function does may not."""
    texts = {
        "then": "def build(trial):\n    return nn.Linear(2, trial.suggest_int('x', 1, 9))\n",
        "comment": "def build(trial):  #\n    return nn.Linear(2, trial.suggest_int('x', 1, 9))\n",
        "now": "def build(trial):\n    return nn.Linear(2, 1 + trial.suggest_int('x', 1, 9))\n",
    }
    spaces = {}
    for name, text in texts.items():
        path = tmp_path / f"code_{name}.py"
        path.write_text(f"from torch import nn\n{text}")
        namespace = {}
        exec(compile(path.read_text(), str(path), "exec"), namespace)
        spaces[name] = FunctionSpace(namespace["build"], torch.zeros(1, 2))
    assert spaces["then"].code == spaces["comment"].code != spaces["now"].code
    replace(search, space=spaces["then"]).run(progress=False)
    replace(search, space=spaces["comment"]).run(progress=False)
    changed = replace(search, space=spaces["now"], trials=7)
    with pytest.raises(InputError, match="code of the space"):
        changed.run(progress=False)
    study = changed.run(progress=False, accept_changes=True)
    (accepted,) = study.user_attrs[RECORD]["accepted"]
    assert accepted.startswith("from trial 6: code of the space")


class Plain(optnas.SearchSpace):
    """A space without a `repr` of its own."""

    example_inputs = torch.zeros(1, 2)

    def suggest(self, trial):
        return trial.suggest_int("width", 1, 3)

    def build(self, architecture):
        return nn.Sequential(nn.Linear(2, architecture), nn.Linear(architecture, 1))


def test_what_has_only_an_address_is_refused_before_anything_is_made(search, tmp_path):
    named = replace(search, space=Plain())
    with pytest.raises(InputError, match=r"the space is <.*Plain object at 0x\w+>.* __repr__"):
        named.run(progress=False)
    assert not list(tmp_path.glob("*.db"))


def test_two_settings_of_one_name_are_refused(search):
    metric = optnas.FunctionMetric("evaluator", lambda candidate: 1.0)
    with pytest.raises(InputError, match="two settings would be stored as 'evaluator code'"):
        replace(search, metrics=[metric]).run(progress=False)


OBJECTS = """
import functools
import torch
from torch import nn
from torch.nn import functional
import optnas


def net(width, hidden, activation):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width * hidden), activation(), nn.Linear(9, 9))


def train(model, recipe, report, *, epochs):
    return {"loss": 1.0}


class Train:
    def __init__(self, epochs):
        self.epochs = epochs

    def __call__(self, model, recipe, report):
        return {"loss": 1.0}


choices = {"width": [1, 2], "activation": {"a": nn.ReLU, "b": functools.partial(nn.GELU)}}
space = optnas.ModelSpace(functools.partial(net, hidden=2), choices, torch.zeros(1, 1, 8, 8))
evaluators = [
    optnas.TrainingEvaluator(
        optnas.digits(),
        loss=functools.partial(functional.cross_entropy, label_smoothing=0.1),
        scores={"half": (lambda outputs, targets: 0.5, "minimize")},
    ),
    optnas.TrainingEvaluator(optnas.digits(), loss=nn.CrossEntropyLoss(label_smoothing=0.1)),
    optnas.FunctionEvaluator(functools.partial(train, epochs=3), {"loss": "minimize"}),
    optnas.FunctionEvaluator(Train(3), {"loss": "minimize"}, functools.partial(max, 1)),
]
metric = optnas.FunctionMetric("depth", functools.partial(max, 1))
search = optnas.Search(space=space, evaluator=evaluators[0], objectives=("val_loss", "params"))
"""


CLASSES = """
import torch
import optnas


class Mine(optnas.evaluators.Evaluator):
    provides = {"loss": "minimize"}
    fingerprint = {}
    device = None

    def suggest(self, trial):
        return ""

    def evaluate(self, candidate, recipe, report):
        return {"loss": 0.1}


class Depth(optnas.metrics.Metric):
    name, direction, fingerprint, exact = "depth", "minimize", {}, True

    def measure(self, candidate):
        return 2.0


search = optnas.Search(
    space=optnas.ModelSpace(lambda width: torch.nn.Linear(2, width), {"width": [1]}, torch.ones(2)),
    evaluator=Mine(),
    objectives=("loss", "depth"),
    metrics=[Depth()],
)
"""


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [("0.1", "0.2", "evaluator's code"), ("2.0", "3.0", "depth's code")],
)
def test_the_code_of_own_evaluators_and_metrics_is_compared(tmp_path, old, new, key):
    found = []
    for text in (CLASSES, f"# a comment\n{CLASSES}", CLASSES.replace(old, new)):
        path = tmp_path / "classes.py"
        path.write_text(text)
        loaded = load_search(path)
        found.append(loaded.fingerprint(loaded.objective()))
    assert found[0] == found[1]
    assert list(differences(found[0], found[2])) == [key]


def settings_of(path, text):
    """The fingerprints that decide whether studies of a file can be mixed."""
    path.write_text(text)
    loaded = load_search(path)
    module = sys.modules[f"optnas_study_{path.stem}"]
    given = [*(e.fingerprint for e in module.evaluators), module.metric.fingerprint]
    return str([loaded.space.fingerprint, loaded.space.code, *given])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("net, hidden=2", "net, hidden=3"),
        ('"a": nn.ReLU', '"a": nn.Tanh'),
        ("cross_entropy, label_smoothing=0.1", "cross_entropy, label_smoothing=0.2"),
        ("targets: 0.5", "targets: 0.6"),
        ("CrossEntropyLoss(label_smoothing=0.1", "CrossEntropyLoss(label_smoothing=0.6"),
        ("train, epochs=3", "train, epochs=4"),
        ("Train(3)", "Train(4)"),
        ('"minimize"}, functools.partial(max, 1)', '"minimize"}, functools.partial(max, 2)'),
        ('"depth", functools.partial(max, 1)', '"depth", functools.partial(max, 2)'),
    ],
)
def test_settings_of_partials_and_objects_stay_the_same_and_are_told_apart(tmp_path, old, new):
    path = tmp_path / "objects.py"
    first = settings_of(path, OBJECTS)
    assert settings_of(path, OBJECTS.replace("search = ", "\n# moved\nsearch = ")) == first
    changed = OBJECTS.replace(old, new)
    assert changed != OBJECTS
    assert settings_of(path, changed) != first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (b"\xc3\xa9".decode("ascii", "surrogateescape"), "no text in this locale.*PYTHONUTF8=1"),
        ("a\nb", "must have printable characters"),
    ],
)
def test_a_name_that_is_no_text_says_why(search, name, message):
    with pytest.raises(InputError, match=message):
        replace(search, name=name)


def test_paths_with_odd_characters(search, tmp_path):
    folder = tmp_path / "q?x %41 #ü'"
    folder.mkdir()
    study = replace(search, folder=folder).run(progress=False)
    assert (folder / "tiny.db").is_file()
    assert len(study.trials) == 6


def test_best_model_takes_an_objective_too(search, tmp_path):
    objective = optnas.Objective(
        search.space, search.evaluator, ("loss", "params"), weights=tmp_path / "w"
    )
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=3)
    assert study.metric_names == ["loss", "params"]
    assert isinstance(optnas.best_model(study, objective, by="params"), nn.Module)


def test_a_sampler_of_ours_goes_in_with_its_seed(search, tmp_path):
    sampler = optnas.LocalSearchSampler(seed=4)
    study = replace(search, sampler=sampler, seed=None).run(progress=False)
    assert study.sampler is sampler
    assert study.user_attrs[SEED] == 4
    with pytest.raises(InputError, match="has seed 9, and 4 was given"):
        replace(search, sampler=sampler, seed=9, name="other").open()
