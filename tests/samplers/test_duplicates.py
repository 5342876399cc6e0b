"""The predictor learns which parameters stand for one network, and proposes no duplicate."""

import random

import numpy as np
import optuna
import pytest
from hypothesis import given, strategies as st
from optuna.distributions import CategoricalDistribution
from scipy.optimize import check_grad

import optnas
from optnas.samplers import acquisition, duplicates
from optnas.samplers.duplicates import duplicate_probability
from optnas.samplers.encoding import encode

OPS = CategoricalDistribution(["a", "b", "c", "d"])


def genes(ops):
    return {f"op{i}": (OPS, op) for i, op in enumerate(ops)}


def probabilities(seen, values, asked, running=()):
    """The probability of each of `asked`, by its operations; `seen` and `running` were tried."""
    codes = encode([genes(ops) for ops in (*seen, *asked, *running)])
    rows = slice(len(seen), len(seen) + len(asked))
    found = duplicate_probability(codes, rows, range(len(seen)), np.array(values, dtype=float))
    return dict(zip(asked, found, strict=True))


def values_of(network):
    """Two objectives that tell each network from all others."""
    rng = random.Random(str(network))
    return rng.random(), rng.random()


def ignoring_the_last(ops):
    return ops[:-1]


def in_any_order(ops):
    return "".join(sorted(ops))


def children(parent, rng, number):
    """Random architectures that differ from a parent in one to three operations."""
    for _ in range(number):
        ops = list(parent)
        for place in rng.sample(range(len(ops)), rng.randint(1, 3)):
            ops[place] = rng.choice(OPS.choices)
        yield "".join(ops)


@pytest.mark.parametrize("network", [ignoring_the_last, in_any_order])
@pytest.mark.parametrize("seed", range(3))
def test_it_finds_what_leaves_a_network_as_it_was(network, seed):
    rng = random.Random(seed)
    seen = list(dict.fromkeys(["abcd", *children("abcd", rng, 40)]))
    known = {network(ops) for ops in seen}
    values = [values_of(network(ops)) for ops in seen]
    asked = [ops for ops in children("abcd", rng, 200) if ops not in seen]
    found = probabilities(seen, values, asked)
    same = [p for ops, p in found.items() if network(ops) in known]
    others = [p for ops, p in found.items() if network(ops) not in known]
    assert np.mean(same) > 0.5
    assert np.mean(others) < 0.25


def test_a_running_network_was_tried_too():
    seen = ["aaaa", "aaab", "aaac", "caaa", "acaa", "aaca"]
    values = [(1, 1), (1, 1), (1, 1), (2, 1), (3, 1), (4, 1)]
    assert probabilities(seen, values, ["bbba"])["bbba"] < 0.1
    assert probabilities(seen, values, ["bbba"], running=["bbbb"])["bbba"] > 0.5


@pytest.mark.parametrize(
    "values",
    [
        [(1, 1), (2, 1), (1, 2), (3, 3)],  # no two are equal
        [(np.inf, 1), (np.inf, 1), (1, 2), (3, 3)],  # two diverged
        [(1,), (1,), (2,), (1,)],  # one objective alone
    ],
)
def test_what_tells_nothing(values):
    assert probabilities(["aaaa", "aaab", "aaba", "cccc"], values, ["abaa"]) == {"abaa": 0.0}


def test_one_chance_says_little():
    rng = random.Random(0)
    seen = list(dict.fromkeys(["aaaa", *children("aaaa", rng, 20)]))
    asked = [ops for ops in children("aaaa", rng, 100) if ops not in seen]
    values = [values_of(ops) for ops in seen]
    values[9] = values[4]
    assert max(probabilities(seen, values, asked).values()) < 0.4


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(2, 12))
def test_the_slope_is_that_of_the_loss(seed, decisions, trials):
    rng = np.random.default_rng(seed)
    changes = rng.integers(0, 2, (trials, trials, decisions)).astype(float)
    changes[:, :, 0] = 1.0
    networks = rng.integers(0, trials, trials)
    loss = duplicates.loss_of(changes, networks[:, None] == networks)
    at = rng.uniform(0.1, 2.0, decisions + 1)
    error = check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], at)
    assert error < 1e-4 * max(1.0, float(np.abs(loss(at)[1]).max()))


def objective(trial):
    """Two of four operations matter, so 16 networks have 256 names."""
    ops = [trial.suggest_categorical(f"op{i}", OPS.choices) for i in range(4)]
    return values_of(ops[:2])


def distinct(trials):
    return len({tuple(trial.values) for trial in trials})


def test_told_nothing_the_predictor_tries_more_networks(monkeypatch):
    def networks():
        sampler = optnas.PredictorSampler(seed=0)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        study.optimize(objective, n_trials=18)
        return distinct(study.trials)

    learned = networks()
    monkeypatch.setattr(acquisition, "duplicate_probability", lambda *_: 0.0)
    assert learned > networks() + 3


def test_names_tell_more(monkeypatch):
    """Nothing is guessed where the space names its networks."""

    def guess(*args):
        raise AssertionError("guessed")

    monkeypatch.setattr(acquisition, "duplicate_probability", guess)

    def network(trial):
        return "".join(trial.suggest_categorical(f"op{i}", OPS.choices) for i in range(4))[:2]

    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=optnas.PredictorSampler(network, seed=0)
    )
    study.optimize(lambda trial: values_of(network(trial)), n_trials=12)
    spread, proposed = study.trials[:6], study.trials[6:]  # the first six are spread over the costs
    assert distinct(study.trials) == distinct(spread) + len(proposed)
