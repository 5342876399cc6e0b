"""The weights that are kept are those of the scores, or it is said what isn't known of them."""

import copy
from types import MappingProxyType

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

import optnas
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator, KnowsData, Report, TrainingEvaluator
from optnas.utils.markdown import plain

DATA = optnas.arrays(
    torch.randn(90, 4, generator=torch.Generator().manual_seed(1)),
    [i % 3 for i in range(90)],
    name="blobs",
)


def loss_of(model):
    with torch.no_grad():
        return nn.functional.cross_entropy(model.eval()(DATA.val[0]), DATA.val[1]).item()


def named(say):
    """Training code that returns the score of its second epoch, and spoils the last ones."""

    def fit(model, recipe, report):
        scores = []
        for epoch in range(4):
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.copy_(torch.randn_like(parameter) * (1 + 3 * epoch))
            scores.append(loss_of(model))
            report(epoch, {"val_loss": scores[-1]})
            if epoch == 1:
                say(report, model)
        return {"val_loss": scores[1]}

    return fit


def search_of(evaluator, **kwargs):
    settings = {
        "space": optnas.ModelSpace(lambda w: nn.Linear(4, 3), {"w": [1]}, torch.zeros(1, 4)),
        "evaluator": evaluator,
        "objectives": ("val_loss", "params"),
        "trials": 1,
        "name": "own",
        "seed": 0,
    }
    return optnas.Search(**(settings | kwargs))


def function(say):
    return FunctionEvaluator(named(say), {"val_loss": "minimize"})


WAYS = {
    "the network": lambda report, model: report.weights(model),
    "a copy": lambda report, model: report.weights(copy.deepcopy(model)),
    "its state": lambda report, model: report.weights(model.state_dict()),
    "an average": lambda report, model: report.weights(AveragedModel(model)),
    "of wrappers": lambda report, model: report.weights(nn.DataParallel(nn.DataParallel(model))),
    "of a compiled network": lambda report, model: report.weights(
        {f"module._orig_mod.{n}": t for n, t in model.state_dict().items()}
    ),
    "with other tensors around": lambda report, model: report.weights(
        nn.ModuleDict({"model": model, "criterion": nn.Linear(1, 1)})
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_weights_that_the_training_code_names_are_kept(way, caplog):
    search = search_of(function(WAYS[way]))
    study = search.run(progress=False)
    assert loss_of(optnas.best_model(study, search)) == pytest.approx(study.trials[0].values[0])
    assert caplog.messages == []
    done = optnas.export_model(study, search, 0, "m.safetensors")
    assert done.weights.origin == "they are those of the scores, as the training code says"
    assert plain(done.weights.origin) in done.card.read_text()


def test_weights_of_a_network_that_the_space_wraps():
    model = nn.DataParallel(nn.Linear(2, 2))
    report = Report(network=lambda: model)
    inner = nn.Linear(2, 2)
    report.weights(inner)
    report.take_weights()
    assert torch.equal(model.module.weight, inner.weight)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (nn.Linear(4, 2), r"\(weight has shape \(2, 4\), not \(3, 4\)\): give it the network"),
        (nn.Linear(4, 3, bias=False), r"\(bias is missing\)"),
        (nn.ModuleDict({"a": nn.Linear(4, 3), "b": nn.Linear(4, 3)}), r"networks \('a\.', 'b\.'\)"),
    ],
)
def test_weights_of_another_network_are_refused_at_once(weights, message):
    report = Report(network=lambda: nn.Linear(4, 3))
    with pytest.raises(InputError, match=message):
        report.weights(weights)


def test_something_else_than_weights_is_refused():
    with pytest.raises(TypeError, match=r"takes a torch.nn.Module or its state_dict\(\), got list"):
        Report().weights([torch.zeros(2)])


def test_the_curve_may_show_that_weights_are_not_those_of_the_score(caplog):
    search = search_of(function(lambda report, model: None))
    study = search.run(progress=False)
    score, last = study.trials[0].values[0], study.trials[0].user_attrs["curve"][-1]["val_loss"]
    found = (
        f"perhaps those of another epoch than the scores: val_loss is {score:.4g}, and the last "
        f"one that was reported is {last:.4g}"
    )
    assert study.trials[0].user_attrs["detail:weights"] == found
    (told,) = caplog.messages
    assert told.startswith(f"trial 0: its weights are {found}. Say in the training code")
    caplog.clear()
    optnas.best_model(study, search)
    assert caplog.messages == [f"the weights of trial 0 are {found}"]
    done = optnas.export_model(study, search, 0, "m.safetensors")
    assert f"they are {found}" in done.card.read_text()


def test_what_is_not_known_stands_on_the_card(caplog):
    evaluator = FunctionEvaluator(
        lambda m, r, p: {"val_loss": loss_of(m)}, {"val_loss": "minimize"}
    )
    search = search_of(evaluator)
    done = optnas.export_model(search.run(progress=False), search, 0, "m.safetensors")
    assert done.weights.origin == (
        "the weights may not be those that had these scores: the training code doesn't say which "
        "it scored (call report.weights(model)), and only it could score them again"
    )
    assert plain(done.weights.origin) in done.card.read_text()
    assert caplog.messages == []


class Own(optnas.Evaluator, KnowsData):
    """Training code that is known to use this data."""

    provides = MappingProxyType({"val_loss": "minimize"})
    fingerprint = MappingProxyType({"data": DATA.fingerprint})
    data = DATA

    def suggest(self, trial):
        return ""

    def evaluate(self, candidate, recipe, report):
        score = loss_of(candidate.model)
        with torch.no_grad():
            candidate.model.weight.mul_(3)
        return {"val_loss": score}


def test_weights_are_scored_again_where_the_data_is_known(caplog):
    search = search_of(Own())
    study = search.run(progress=False)
    model = optnas.best_model(study, search)
    (told,) = caplog.messages
    assert told == (
        f"the weights of trial 0: scored again, they give val_loss {loss_of(model):.4g}, but the "
        f"study has val_loss {study.trials[0].values[0]:.4g}: they aren't the weights of the scores"
    )


class Forgetful(nn.Module):
    """A network that keeps a part of its training outside of its state."""

    def __init__(self, w):
        super().__init__()
        self.layer, self.steps = nn.Linear(4, 3), 1.0

    def forward(self, x):
        self.steps += 0.5 * self.training
        return self.layer(x) * self.steps


def test_a_state_outside_of_the_weights_is_noticed(caplog):
    for network, told in ((Forgetful, 1), (lambda w: nn.Linear(4, 3), 0)):
        caplog.clear()
        space = optnas.ModelSpace(network, {"w": [1]}, torch.zeros(1, 4))
        evaluator = TrainingEvaluator(DATA, 2, device="cpu", epoch="best")
        search = search_of(evaluator, space=space, name=f"told{told}")
        study = search.run(progress=False)
        done = optnas.export_model(study, search, 0, f"{told}.safetensors")
        assert len(caplog.messages) == told
        assert ("they aren't the weights of the scores" in done.weights.origin) == told
        assert ("as in the study" in done.card.read_text()) != told
