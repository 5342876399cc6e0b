"""The parts of the samplers, and what each sampler alone does."""

import math
from random import Random

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, settings, strategies as st
from optuna._hypervolume import compute_hypervolume
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

import optnas
from optnas.errors import InputError
from optnas.pareto.dominance import crowding
from optnas.samplers.evolution import _Population
from optnas.samplers.history import History
from optnas.samplers.local_search import RESTART
from optnas.samplers.policy import Action, Policy
from optnas.samplers.ranking import best_first, contributions, violation
from optnas.samplers.reward import Rewards
from optnas.samplers.scaling import excesses
from optnas.samplers.trie import Trie
from optnas.utils.distributions import as_key, from_unit, option, option_number, options, to_unit
from optnas.utils.draws import draw, move

MINIMIZE, MAXIMIZE = optuna.study.StudyDirection.MINIMIZE, optuna.study.StudyDirection.MAXIMIZE

DISTRIBUTIONS = st.one_of(
    st.builds(CategoricalDistribution, st.lists(st.text(), min_size=1, max_size=6, unique=True)),
    st.builds(lambda n: CategoricalDistribution([str(i) for i in range(n)]), st.integers(500, 530)),
    st.builds(
        lambda low, n, step: IntDistribution(low, low + n * step, step=step),
        st.integers(-50, 50),
        st.integers(0, 9000),
        st.integers(1, 7),
    ),
    st.builds(
        lambda low, n: IntDistribution(low, low + n, log=True),
        st.integers(1, 50),
        st.integers(0, 9000),
    ),
    st.builds(
        lambda low, n, step: FloatDistribution(low, round(low + n * step, 6), step=step),
        st.sampled_from([-1.0, 0.0, 0.3]),
        st.integers(0, 20),
        st.sampled_from([0.1, 0.25, 2.0]),
    ),
    st.builds(
        lambda low, width, log: FloatDistribution(low, low + width, log=log),
        st.floats(1e-5, 10),
        st.just(0.0) | st.floats(0.01, 100),
        st.booleans(),
    ),
)


@given(DISTRIBUTIONS, st.integers())
def test_values_are_of_their_distribution(distribution, seed):
    rng = Random(seed)
    value = draw(rng, distribution)
    assert distribution._contains(as_key(distribution, value))
    if isinstance(value, float):
        assert type(value) is float
    n = options(distribution)
    if n:
        assert option(distribution, option_number(distribution, value)) == value
    if distribution.single():
        return
    moved = move(rng, distribution, value)
    assert moved != value
    assert distribution._contains(as_key(distribution, moved))
    if not isinstance(distribution, CategoricalDistribution):
        assert from_unit(distribution, to_unit(distribution, value)) == pytest.approx(value)


@given(DISTRIBUTIONS, st.integers(), st.data())
def test_closed_values_are_passed_over(distribution, seed, data):
    n = options(distribution)
    if not 2 < n <= 50:
        return
    left = data.draw(st.integers(0, n - 1))
    closed = {as_key(distribution, option(distribution, i)) for i in range(n) if i != left}
    assert draw(Random(seed), distribution, closed) == option(distribution, left)
    value = option(distribution, data.draw(st.integers(0, n - 1).filter(lambda i: i != left)))
    assert move(Random(seed), distribution, value, closed) == option(distribution, left)
    every = {as_key(distribution, option(distribution, i)) for i in range(n)}
    assert distribution._contains(as_key(distribution, draw(Random(seed), distribution, every)))


@pytest.mark.parametrize(
    "distribution",
    [
        IntDistribution(1, 3000),
        IntDistribution(1, 3000, log=True),
        FloatDistribution(0.0, 90.0, step=0.1),
        CategoricalDistribution(range(600)),
    ],
)
def test_the_last_value_of_a_long_range_is_found(distribution):
    n = options(distribution)
    for left in (0, n // 2, n - 1):
        closed = {as_key(distribution, option(distribution, i)) for i in range(n) if i != left}
        assert draw(Random(0), distribution, closed) == option(distribution, left)
        assert move(Random(0), distribution, option(distribution, 1), closed) == option(
            distribution, left
        )


def test_near_values_are_likelier_and_far_ones_happen():
    rng = Random(0)
    steps = [abs(move(rng, IntDistribution(0, 20), 10) - 10) for _ in range(2000)]
    assert steps.count(1) > steps.count(2) > steps.count(5) > 0
    assert steps.count(10) > 0
    steps = [abs(move(rng, FloatDistribution(0, 1), 0.5) - 0.5) for _ in range(2000)]
    decades = np.histogram(np.log10(steps), bins=[-3, -2, -1, 0])[0]
    assert decades.min() > 400
    kinds = [move(rng, CategoricalDistribution("abcd"), "a") for _ in range(2000)]
    assert min(kinds.count(k) for k in "bcd") > 600


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_contributions_are_differences_of_hypervolume(objectives):
    rng = np.random.default_rng(objectives)
    points = -np.abs(rng.normal(size=(12, objectives)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    reference = np.full(objectives, 1.1)
    whole = compute_hypervolume(points, reference)
    without = [
        whole - compute_hypervolume(np.delete(points, i, axis=0), reference)
        for i in range(len(points))
    ]
    np.testing.assert_allclose(contributions(7 + 100 * points), without, atol=1e-9)


def test_an_outlier_does_not_flatten_the_rest():
    cost = np.sort(np.random.default_rng(0).random(20))
    points = np.column_stack([1 - cost**2, 1 + cost])
    diverged = np.vstack([points, [1e12, 0.9]])
    without, with_it = contributions(points), contributions(diverged)
    order = np.argsort(without[1:-1])
    np.testing.assert_array_equal(np.argsort(with_it[1:19]), order)
    assert with_it[20] < with_it.max()
    infinite = np.vstack([points, [math.inf, 0.5]])
    assert np.isfinite(contributions(infinite)).all()


@pytest.mark.parametrize("size", [1.0, 0.001])
@pytest.mark.parametrize("worst", [1e100, 1.7e308])
def test_an_outlier_has_its_place_however_far_it_lies(size, worst):
    """Nothing overflows."""
    others = [[size * i, 11.0 - i] for i in range(1, 11)]
    near, far = (contributions(np.array([[x, 0.5], *others])) for x in (100 * size, worst))
    np.testing.assert_allclose(far, near)


def test_crowding_is_the_gap_between_neighbours():
    points = np.array([[0.0, 1.0], [0.4, 0.5], [1.0, 0.0]])
    np.testing.assert_allclose(crowding(points), [0.8 + 1.0, 2.0, 1.2 + 1.0])
    many = np.random.default_rng(0).random((30, 6))
    assert contributions(many).shape == (30,)


def test_a_population_is_full_of_infeasible_trials_while_nothing_is_feasible():
    study = optuna.create_study()
    population = _Population(10, True, History(study))
    for number in range(1, 25):
        population.add(trial([1.0], broken=float(number)))
        broken = [violation(member) for member in population.members]
        assert broken == [float(n) for n in range(max(number - 9, 1), number + 1)]
    population.add(trial([1.0]))
    assert [violation(member) for member in population.members] == [0.0, *range(16, 25)]


@pytest.mark.filterwarnings("ignore:Choices for a categorical")
@pytest.mark.parametrize("sampler", [optnas.PredictorSampler, optnas.RegularizedEvolutionSampler])
def test_choices_may_be_lists(sampler):
    """Optuna warns of them, and keeps them as long as the study lies in memory."""

    def objective(trial):
        widths = [trial.suggest_categorical(f"block{i}", [[8], [16, 8], [4]]) for i in range(3)]
        if trial.number == 1:
            raise ValueError("so that failures are learned from")
        return float(sum(map(sum, widths)))

    study = optuna.create_study(sampler=sampler(seed=0))
    study.optimize(objective, n_trials=10, catch=(ValueError,))
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 9


def test_an_infinite_excess_is_one():
    """As of a memory that no device has."""

    def broken(by):
        return create_trial(value=1.0, system_attrs={"constraints:memory": by})

    for huge in (math.inf, 1.0):
        ((rows, scaled),) = excesses([broken(-1.0), broken(huge), broken(-2.0)])
        assert rows == [0, 1, 2]
        assert (scaled > 0).tolist() == [False, True, False]
    ((_, scaled),) = excesses([broken(-math.inf), broken(3.0), broken(math.inf)])
    assert (scaled > 0).tolist() == [False, True, True]
    assert excesses([broken(-math.inf), broken(-1.0)]) == []


def trial(values=None, broken=0.0, state=TrialState.COMPLETE):
    return create_trial(
        values=values,
        state=state,
        system_attrs={"constraints:size": broken},
    )


def test_feasible_ones_come_first_then_dominance_then_violation():
    trials = [
        trial([1.0, 9.0], broken=2.0),
        trial([5.0, 5.0]),
        trial(None, broken=1.0, state=TrialState.PRUNED),
        trial([2.0, 2.0]),
        trial([4.0, 6.0], broken=-1.0),
    ]
    order = best_first(trials, [MINIMIZE, MINIMIZE])
    assert order[0] == 3
    assert set(order[1:3]) == {1, 4}
    assert order[3:] == [2, 0]
    assert best_first([trial([1.0]), trial([3.0])], [MAXIMIZE]) == [1, 0]


def test_the_first_few_are_the_first_of_all():
    """Those that aren't asked for need no hypervolume contribution."""
    points = np.random.default_rng(0).random((60, 3))
    trials = [trial(row.tolist()) for row in points]
    every = best_first(trials, [MINIMIZE] * 3)
    for number in (1, 7, 30, 60, 99):
        assert best_first(trials, [MINIMIZE] * 3, number=number) == every[:number]


def test_gradients_equal_automatic_differentiation():
    """The policy written out in torch; a batch of three, two of them with the same parameters."""
    rng = np.random.default_rng(0)
    policy = Policy(context=2, hidden=5, learning_rate=0.1, seed=3)
    sequences = [
        [Action("depth", 3, 1), Action("kind", 2, 0), Action("width", 4, 3)],
        [Action("depth", 3, 2), Action("width", 4, 0), Action("kind", 2, 1), Action("depth", 3, 0)],
        [Action("depth", 3, 1), Action("kind", 2, 1), Action("width", 4, 0)],
    ]
    contexts = rng.dirichlet([1, 1], size=3)
    policy.gradient(sequences, contexts, 0.0)  # all parameters have weights from here on
    for _ in range(3):  # away from the zeros of the start
        policy.ascend(rng.normal(size=len(policy._weights)))
    weights = torch.tensor(policy._weights, requires_grad=True)

    def part(kind, name="", count=0):
        start, stop, shape = policy._places[kind, name, count]
        return weights[start:stop].reshape(shape)

    aim = 0.0
    for actions, context in zip(sequences, torch.tensor(contexts), strict=True):
        state, last = torch.zeros(5, dtype=torch.float64), None
        for name, count, taken in actions:
            inputs = part("U") @ state + part("n", name, count) + part("C") @ context
            if last is not None:
                inputs = inputs + part("e", last.name, last.actions)[last.taken]
            state = torch.tanh(inputs)
            logits = part("V", name, count) @ state + part("b", name, count)
            log_ps = torch.log_softmax(logits + part("P", name, count) @ context, 0)
            aim = aim + log_ps[taken] - 0.3 * (log_ps.exp() * log_ps).sum()
            last = Action(name, count, taken)
    (aim / 3).backward()
    gradient = policy.gradient(sequences, contexts, entropy=0.3)
    np.testing.assert_allclose(gradient, weights.grad.numpy(), atol=1e-12)


def test_a_frozen_policy_stays_as_it_is():
    policy = Policy(context=1, hidden=4, learning_rate=0.1, seed=0)

    def chance(of):
        return math.exp(of.step(np.zeros(4), None, "a", 3, np.ones(1))[1][1])

    frozen = policy.frozen()
    for _ in range(5):
        policy.ascend(policy.gradient([[Action("a", 3, 1)]], np.ones((1, 1)), 0.0))
    assert chance(policy) > chance(frozen) == pytest.approx(1 / 3)


def test_rewards_prefer_what_the_preference_weighs():
    rewards = Rewards([MINIMIZE, MAXIMIZE], {}, -0.07)
    for i in range(8):
        rewards.add(trial([float(i), float(i)]))  # the last: worst first, best second
    first, second = rewards.rewards(np.eye(2), range(8))
    assert (np.diff(first) < 0).all()
    assert (np.diff(second) > 0).all()


def test_infeasible_and_failed_trials_have_the_lowest_rewards():
    rewards = Rewards([MINIMIZE], {}, -0.07)
    for value in (1.0, 2.0, 3.0, 9.0):
        rewards.add(trial([value]))
    for broken in (1.0, 4.0, 5.0):
        rewards.add(trial([0.0], broken=broken))
    rewards.add(trial(state=TrialState.FAIL))
    (found,) = rewards.rewards(np.ones((1, 1)), range(8))
    assert (np.diff(found[:7]) < 0).all()
    assert found[7] == found[6] == min(found)


@pytest.mark.parametrize("limits", [None, np.array([np.inf, 0.5, np.inf])])
@pytest.mark.parametrize("targets", [{}, {2: 0.3}])
def test_the_best_trial_is_that_with_the_highest_reward_of_all(limits, targets):
    rng = np.random.default_rng(1)
    rewards = Rewards([MINIMIZE] * 3, targets, -0.07, limits)
    preferences = rng.dirichlet(np.ones(3), size=200)
    for i, point in enumerate(rng.dirichlet(np.ones(3), size=60)):
        rewards.add(trial(point.round(1).tolist(), broken=float(i % 3 == 0)))
    every = rewards.rewards(preferences, range(60))
    best = rewards.best_of(preferences)
    np.testing.assert_array_equal(every[np.arange(200), best], every.max(axis=1))
    assert len(set(best)) > 1


def test_while_nothing_is_feasible_the_best_trial_breaks_the_constraints_least():
    rewards = Rewards([MINIMIZE] * 2, {}, -0.07)
    rewards.add(trial(state=TrialState.FAIL))
    assert rewards.best_of(np.eye(2)).size == 0
    for broken, best in ((3.0, 1), (2.0, 2), (5.0, 2), (0.0, 4), (1.0, 4)):
        rewards.add(trial([1.0, 1.0], broken=broken))
        assert rewards.best_of(np.eye(2)).tolist() == [best] * 2


def test_a_target_is_mnasnets_reward():
    rewards = Rewards([MINIMIZE, MINIMIZE], {1: 10.0}, -0.07)
    for value in (5.0, 10.0, 20.0, 40.0, 10.0):
        rewards.add(trial([1.0, value]))
    (found,) = rewards.rewards(np.ones((1, 2)), range(5))
    quality = found[1]  # on the target
    np.testing.assert_allclose(found / quality, np.array([0.5, 1, 2, 4, 1]) ** -0.07)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"size": 1.0}, "no objective 'size'; there are: objective 0, objective 1"),
        ({2: 1.0}, "no objective 2"),
        ({1: 1.0}, "objective 1 is maximised"),
    ],
)
def test_targets_that_cannot_be(targets, message):
    sampler = optnas.ReinforceSampler(targets=targets)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    with pytest.raises(InputError, match=message):
        study.ask()


def two_costs(trial):
    layers = [trial.suggest_int(f"layer{i}", 1, 9) for i in range(trial.suggest_int("depth", 1, 5))]
    return 1 / sum(layers), float(sum(layers))


def test_targets_pull_towards_them():
    def mean_cost(**options):
        sampler = optnas.ReinforceSampler(seed=0, **options)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        study.optimize(two_costs, n_trials=300)
        return np.mean([t.values[1] for t in study.trials[-100:]])

    assert mean_cost(targets={1: 3.0}, exponent=-1.0) < mean_cost(targets={1: 3.0}) - 2


def layers(trial):
    total = sum(trial.suggest_int(f"layer{i}", 0, 30) for i in range(6))
    return abs(total - 90)


def changes(trial, others):
    return [sum(trial.params[k] != o.params[k] for k in trial.params) for o in others]


def test_only_the_newest_trials_are_parents_where_the_population_ages():
    def parents(aging):
        sampler = optnas.RegularizedEvolutionSampler(
            seed=1, population_size=5, tournament_size=5, n_startup_trials=5, aging=aging
        )
        study = optuna.create_study(sampler=sampler)
        # The second trial is the best for ever.
        study.optimize(lambda t: layers(t) + 100 * (t.number != 1), n_trials=60)
        return [1 in changes(t, study.trials[1:2]) for t in study.trials]

    assert not any(parents(aging=True)[7:])
    assert sum(parents(aging=False)[10:]) > 40


def test_several_decisions_may_be_mutated():
    sampler = optnas.RegularizedEvolutionSampler(seed=1, mutations=3)
    study = optuna.create_study(sampler=sampler)
    study.optimize(layers, n_trials=40)
    for t in study.trials[10:]:
        assert 3 in changes(t, study.trials[: t.number])


def test_crossover_takes_decisions_of_two():
    sampler = optnas.RegularizedEvolutionSampler(
        seed=1, crossover=1.0, n_startup_trials=20, population_size=20, tournament_size=2
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(layers, n_trials=60)
    known = {}
    for t in study.trials[:20]:
        for name, value in t.params.items():
            known.setdefault(name, set()).add(value)
    one_parent = sum(1 in changes(t, study.trials[:20]) for t in study.trials[20:30])
    assert one_parent < 5
    for t in study.trials[20:22]:
        assert sum(value not in known[name] for name, value in t.params.items()) <= 1


def test_local_search_tries_every_neighbour_of_the_best_then_restarts():
    def objective(trial):
        xs = [trial.suggest_int(f"x{i}", 0, 3) for i in range(3)]
        return 0.0 if trial.number == 0 else 1.0 + sum(xs)

    study = optuna.create_study(sampler=optnas.LocalSearchSampler(seed=0, n_startup_trials=1))
    study.optimize(objective, n_trials=11)
    first, *others = study.trials
    assert changes(first, others) == [1] * 9 + changes(first, others[9:])
    assert RESTART in others[9].system_attrs
    assert not any(RESTART in t.system_attrs for t in others[:9])
    study.optimize(objective, n_trials=3)
    # The new start is climbed from, though the old best is better.
    assert 1 in changes(study.trials[11], [study.trials[10]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optnas.RegularizedEvolutionSampler(tournament_size=101), "101 of 100"),
        (lambda: optnas.RegularizedEvolutionSampler(crossover=1.5), "from 0 to 1, got 1.5"),
        (lambda: optnas.RegularizedEvolutionSampler(mutations=0), "at least 1, got 0"),
        (lambda: optnas.RegularizedEvolutionSampler(n_startup_trials=0), "at least 1, got 0"),
        (lambda: optnas.LocalSearchSampler(n_startup_trials=0), "at least 1, got 0"),
        (lambda: optnas.ReinforceSampler(learning_rate=0), "learning_rate must be above 0"),
        (lambda: optnas.ReinforceSampler(entropy=-1), "entropy must be at least 0"),
        (lambda: optnas.ReinforceSampler(exponent=0.07), "exponent must be below 0"),
        (lambda: optnas.ReinforceSampler(targets={0: -1}), r"targets\[0\] must be above 0"),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_study_keeps_its_seed():
    study = optuna.create_study(sampler=optnas.LocalSearchSampler(seed=1))
    study.optimize(layers, n_trials=1)
    study.sampler = optnas.LocalSearchSampler(seed=2)
    with pytest.raises(InputError, match="has seed 1, and 2 was given"):
        study.optimize(layers, n_trials=1)


@pytest.mark.parametrize(
    ("owner", "method"), [(Trie, "add"), (_Population, "add"), (History, "_finish")]
)
def test_an_interrupt_leaves_nothing_half_read(owner, method, monkeypatch):
    asked = []
    for fresh in (False, True):
        study = optuna.create_study(sampler=optnas.RegularizedEvolutionSampler(seed=1))
        study.optimize(layers, n_trials=30)
        original = getattr(owner, method)

        def interrupted(self, *args, original=original):
            original(self, *args)
            raise KeyboardInterrupt

        monkeypatch.setattr(owner, method, interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.ask().suggest_int("layer0", 0, 30)
        monkeypatch.setattr(owner, method, original)
        if fresh:
            study.sampler = optnas.RegularizedEvolutionSampler(seed=1)
        trial = study.ask()
        layers(trial)
        asked.append(trial.params)
    assert asked[0] == asked[1]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from(["evolution", "local_search", "reinforce", "qlearning"])
)
def test_no_space_is_too_small_or_odd(seed, name):
    """Random trees of decisions, all of their leaves visited once before any is repeated."""

    def grow(trial, path=""):
        rng = Random(f"{seed}{path}")
        if len(path) > 5 or rng.random() < 0.2:
            return 1
        kind = rng.randrange(3)
        if kind == 0:
            value = trial.suggest_categorical(f"c{path}", list("ab")[: rng.randint(1, 2)])
        elif kind == 1:
            value = trial.suggest_int(f"i{path}", 0, rng.randint(0, 2))
        else:
            value = trial.suggest_float(f"f{path}", 0.0, 0.2, step=0.2)
        return grow(trial, f"{path}/{value}")

    def objective(trial):
        trial.suggest_int("first", 0, 1)
        grow(trial)
        return float(len(trial.params)), float(trial.number)

    size = int(optnas.search_spaces.space_size(objective, walks=5000, max_seconds=60).count)
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=optnas.samplers.make_sampler(name, seed)
    )
    study.optimize(objective, n_trials=min(size, 40) + 2)
    assert len({str(t.params) for t in study.trials}) == min(size, len(study.trials))
