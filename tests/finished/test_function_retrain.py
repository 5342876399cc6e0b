"""The final training of a study whose training code is a person's own, and what follows it."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator
from optnas.study.record import record_of
from optnas.study.retrainings import others_tested

RNG = np.random.default_rng(0)
X = torch.tensor(RNG.normal(size=(90, 4)), dtype=torch.float32)
Y = X.sum(1, keepdim=True)
TRAIN, VAL, TEST = slice(0, 50), slice(50, 70), slice(70, 90)


def loss_of(model, part):
    with torch.no_grad():
        return nn.functional.mse_loss(model(X[part]), Y[part]).item()


def fit(model, recipe, report):
    """Two steps; the weights after the first one count, and are named."""
    rows = slice(0, 70) if report.final else TRAIN
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for epoch in range(2):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(X[rows]), Y[rows]).backward()
        optimizer.step()
        report(epoch, {"val_loss": loss_of(model, TEST if report.final else VAL)})
        if epoch == 0:
            report.weights(copy.deepcopy(model).state_dict())
    return report.curve[0]["val_loss"]


def search_of(retrain, name="own"):
    return optnas.Search(
        space=optnas.ModelSpace(
            lambda width: nn.Sequential(nn.Linear(4, width), nn.Linear(width, 1)),
            {"width": [1, 2, 3]},
            torch.zeros(1, 4),
        ),
        evaluator=FunctionEvaluator(fit, {"val_loss": "minimize"}, retrain=retrain),
        objectives=("val_loss", "params"),
        sampler="random",
        trials=2,
        seed=0,
        name=name,
    )


def test_one_function_serves_the_search_and_all_that_follows():
    search = search_of(fit)
    study = search.run(progress=False)
    assert record_of(study).retrains is True
    number = optnas.pick(study).entry.number
    result = optnas.retrain(study, search, number, seeds=2, progress=False)
    first, second = result.runs
    assert (first.scores.keys(), first.evaluator["retrain"]) == ({"test_loss"}, "fit")
    assert first.scores != second.scores
    model = search.objective().candidate(study.trials[number]).model
    model.load_state_dict(load_file(search.files(study).path("_retrained") / first.weights))
    assert first.scores["test_loss"] == pytest.approx(loss_of(model, TEST), rel=1e-6)

    assert result.epochs == "by the study's own code"
    exported = optnas.export_model(study, search, number, format="safetensors")
    assert "by the study's own code, seed 0 of 2" in (card := exported.card.read_text())
    assert "test_loss" in card
    kept = optnas.best_model(study, search, trial=number)
    assert loss_of(kept, VAL) == pytest.approx(study.trials[number].values[0], rel=1e-6)
    confirmed = optnas.confirm(study, search, trials=[number], seeds=1, progress=False)
    assert confirmed[number].n == 1


def test_a_final_training_may_be_added_to_a_finished_study(caplog):
    without = search_of(None)
    study = without.run(progress=False)
    assert record_of(study).retrains is False
    with pytest.raises(InputError, match=r"Give it FunctionEvaluator\(…, retrain=train\)"):
        optnas.retrain(study, without, 0, progress=False)

    def final(model, recipe, report):
        return {"test_loss": loss_of(model, TEST), "test_size": 20}

    search = search_of(final)
    run = optnas.retrain(study, search, 0, seeds=1, progress=False).runs[0]
    assert run.scores["test_size"] == 20
    other = search_of(lambda model, recipe, report: {"test_loss": 1.0})
    result = optnas.retrain(study, other, 0, seeds=2, progress=False)
    assert result.runs[0].scores == {"test_loss": 1.0}
    assert "trial 0: every seed gave exactly the same scores" in caplog.text
    assert "trial 0 (by the study's own code)" in others_tested(study, 0, result.settings)


def test_hints_lead_to_a_retraining_only_where_there_is_one():
    study = search_of(None).run(progress=False)
    for weights in ("retrained", None):
        plain, search = search_of(None), search_of(fit)
        if weights is None:  # of a trial that has none
            for found in (plain, search):
                for file in found.files(study).path("_weights").iterdir():
                    file.unlink()
        settings = {"format": "safetensors", "weights": weights}
        with pytest.raises(InputError, match=r"weights.*\(…, retrain=train\)") as told:
            optnas.export_model(study, plain, 0, **settings)
        assert "optnas retrain" not in str(told.value)
        with pytest.raises(InputError, match=r"`optnas retrain` makes some"):
            optnas.export_model(study, search, 0, **settings)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"val_loss": 1.0}, r"without a look at `report\.final`"),
        ({"loss": 1.0}, "must return scores whose names begin with test_, .*returned loss"),
        ({"test_loss": "low"}, "test_loss must be a number"),
    ],
)
def test_wrong_scores_of_a_final_training_are_refused(returned, message):
    search = search_of(lambda model, recipe, report: returned)
    study = search.run(progress=False)
    with pytest.raises(InputError, match=message):
        optnas.retrain(study, search, 0, seeds=1, progress=False)
    assert not any(key.startswith("retrained:") for key in study.user_attrs)


def test_a_final_training_that_diverges_is_a_failed_seed():
    search = search_of(lambda model, recipe, report: {"test_loss": float("nan")})
    run = optnas.retrain(search.run(progress=False), search, 0, seeds=1, progress=False).runs[0]
    assert (run.scores, run.failure) == ({}, "test_loss is nan")
