"""What only some evaluators can do, and what all others need."""

import optuna
import pytest
import torch
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import (
    Evaluator,
    Prepared,
    Retrainable,
    StandIn,
    TabularEvaluator,
    TrainingEvaluator,
)
from optnas.evaluators.abilities import configured, data_of, retraining_of, training_of
from optnas.evaluators.evaluation import reporting
from optnas.search_spaces import MLPSpace, ModelSpace
from optnas.testing import EvaluatorContract

SPACE = ModelSpace(lambda width: nn.Linear(4, width), {"width": [1, 2, 3]}, torch.zeros(1, 4))
DATA = optnas.arrays(torch.randn(60, 4).numpy(), (torch.arange(60) % 2).numpy(), name="noise")
REAL = TrainingEvaluator(DATA, 2, device="cpu")


class Own(Evaluator):
    """An evaluator with the four required members, and nothing else."""

    provides = {"loss": "minimize"}  # noqa: RUF012
    fingerprint = {"data": "mine, version 1"}  # noqa: RUF012

    def suggest(self, trial):
        return {"rate": trial.suggest_categorical("rate", [0.1, 0.2])}

    def evaluate(self, candidate, recipe, report):
        loss = recipe["rate"] / sum(p.numel() for p in candidate.model.parameters())
        report(0, {"loss": loss})
        return {"loss": loss}


class TestOwnEvaluator(EvaluatorContract):
    evaluator = Own()
    space = MLPSpace((4,), 3)


def search_of(evaluator, **settings):
    return optnas.Search(
        space=SPACE,
        evaluator=evaluator,
        objectives=("loss", "params"),
        sampler="random",
        trials=4,
        seed=0,
        name="own",
        **settings,
    )


def test_four_members_are_enough_for_a_search():
    search = search_of(Own())
    study = search.run(progress=False)
    assert study.user_attrs["optnas"]["fingerprint"]["evaluator data"] == "mine, version 1"
    number = optnas.front(study)[0].number
    found = optnas.confirm(study, search, trials=[number], seeds=1, progress=False)
    assert found[number].n == 1
    with pytest.raises(InputError, match="a Own has no retraining"):
        optnas.retrain(study, search, number)


@pytest.mark.parametrize("member", ["provides", "fingerprint", "suggest", "evaluate"])
def test_each_of_them_is_required(member):
    members = {name: vars(Own)[name] for name in ("provides", "fingerprint", "suggest", "evaluate")}
    del members[member]
    with pytest.raises(TypeError, match=member):
        type("Partial", (Evaluator,), members)()


def test_an_evaluator_without_abilities_stays_as_it_is_or_names_the_way_out():
    own = Own()
    assert training_of(own) is own
    assert data_of(own) is None
    assert configured(own, device="cuda") is own
    with pytest.raises(InputError, match="a Own decides on its epochs itself"):
        configured(own, epochs=3)
    with pytest.raises(InputError, match=r"your own code .*optnas\.evaluators\.Retrainable"):
        retraining_of(own)


def test_abilities_are_used():
    shared = optnas.SharedWeightsEvaluator(REAL, 5)
    assert training_of(shared) is REAL
    assert training_of(REAL) is REAL
    assert data_of(shared) is data_of(REAL) is DATA
    for evaluator in (shared, REAL):
        changed = configured(evaluator, epochs=7)
        assert training_of(changed).epochs == 7
        assert retraining_of(evaluator, 9).fingerprint["epochs"] == 9
    assert (shared.estimates, REAL.estimates) == (True, False)


class Prior(Own, Prepared, StandIn, Retrainable):
    """An own evaluator that estimates, and prepares itself."""

    estimates = True
    data = DATA
    training = Own()

    def __init__(self):
        self.bound, self.prepared = None, 0

    def bind(self, space, folder):
        bound = Prior()
        bound.bound = space, folder
        return bound

    def prepare(self, report=None, stopped=None):
        self.prepared += 1
        return "hash"

    def retraining(self, epochs=None):
        return Own()


def test_your_own_evaluator_may_have_all_abilities(tmp_path):
    objective = optnas.Objective(SPACE, Prior(), ("loss", "params"), shared=tmp_path)
    assert objective.evaluator.bound == (SPACE, tmp_path)
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=3)
    assert objective.evaluator.prepared == 1
    assert study.user_attrs["optnas:shared_weights"] == "hash"
    assert isinstance(training_of(objective.evaluator), Own)


CANDIDATE = Candidate("linear", torch.zeros(1, 2), lambda: torch.nn.Linear(2, 1))


def test_a_table_never_waits_for_a_measurement_on_a_device():
    table = TabularEvaluator({"a": {"loss": 1.0}}, {"loss": "minimize"})
    assert table.estimates
    for evaluator, shares in ((table, False), (Own(), True)):
        with reporting(evaluator, "cpu", CANDIDATE) as report:
            assert (report.give_way.__name__ == "give_way") == shares
