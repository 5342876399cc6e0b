import numpy as np
import optuna
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from optuna._hypervolume import compute_hypervolume
from optuna.study._multi_objective import _fast_non_domination_rank, _is_pareto_front

from optnas.pareto import dominance, hypervolume

LARGEST = np.finfo(float).max
# Few different values: ties and repeated points are the rule.
POINTS = st.integers(1, 5).flatmap(
    lambda k: arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.just(k)),
        elements=st.integers(-4, 4).map(float),
    )
)


def brute_force(points):
    return np.array(
        [not any((q <= p).all() and (q < p).any() for q in points) for p in points], dtype=bool
    )


@given(POINTS)
def test_nondominated_equals_brute_force_and_optuna(points):
    mask = dominance.nondominated(points)
    assert mask.tolist() == brute_force(points).tolist()
    assert mask.tolist() == _is_pareto_front(points, assume_unique_lexsorted=False).tolist()


@given(POINTS)
def test_a_point_dominates_if_it_is_no_worse_anywhere_and_better_somewhere(points):
    table = dominance.dominates(points[:, None], points[None])
    for i, p in enumerate(points.tolist()):
        for j, q in enumerate(points.tolist()):
            gaps = [b - a for a, b in zip(p, q, strict=True)]
            assert table[i, j] == (min(gaps) >= 0 and max(gaps) > 0)
            assert dominance.dominates(points[i], points[j]) == table[i, j]
    assert dominance.nondominated(points).tolist() == (~table.any(axis=0)).tolist()


ENDLESS = st.integers(1, 5).flatmap(
    lambda k: arrays(
        np.float64,
        st.tuples(st.integers(1, 20), st.just(k)),
        elements=st.sampled_from([-np.inf, np.inf, -LARGEST, LARGEST, 0.0, 1.0]),
    )
)


@given(ENDLESS)
def test_infinite_and_huge_values_are_ordinary_ones_for_dominance(points):
    assert dominance.nondominated(points).tolist() == brute_force(points).tolist()
    assert ((dominance.ranks(points) == 0) == brute_force(points)).all()


@given(ENDLESS)
def test_the_knee_is_never_infinitely_bad_while_another_one_is_not(points):
    bad = np.isposinf(points).any(axis=1)
    i = dominance.knees(points)[0]
    assert not bad[i] or bad.all()
    assert np.isfinite(dominance.way_from_best(points)).all()
    assert np.isfinite(np.square(dominance.tamed(points)).sum())


def test_tamed_points_stay_in_proportion():
    points = np.array([[0.0, LARGEST], [LARGEST / 4, 3.0], [LARGEST, -np.inf]])
    ordinary = np.array([[0.1, 3.0], [0.3, 4.0]])
    found = dominance.tamed(points)
    assert (found[1, 0] / found[2, 0], found[2, 1]) == (0.25, found[1, 1])
    assert (dominance.tamed(ordinary) == ordinary).all()


def test_excess_is_a_multiple_of_the_limits_size():
    points = np.array([[3.0, 1.0], [1.0, np.inf], [-np.inf, LARGEST]])
    found = dominance.excess(points, np.array([2.0, 0.0]))
    assert found.tolist() == [[0.5, 1.0], [0.0, np.inf], [0.0, LARGEST]]
    assert dominance.excess(points, np.full(2, np.inf)).sum() == 0
    assert dominance.excess(points, np.full(2, -np.inf))[:2].min() == np.inf


def test_nothing_dominates_a_point_without_number_nor_is_dominated_by_it():
    known, unknown = np.array([1.0, 1.0]), np.array([0.0, np.nan])
    assert not dominance.dominates(unknown, known)
    assert not dominance.dominates(known, unknown)


@given(POINTS)
def test_ranks_equal_optunas_and_peeling(points):
    found = dominance.ranks(points)
    assert found.tolist() == _fast_non_domination_rank(points).tolist()
    left = np.arange(len(points))
    for rank in range(found.max() + 1):
        front = left[brute_force(points[left])]
        assert set(front) == set(np.flatnonzero(found == rank))
        left = np.setdiff1d(left, front)
    assert len(left) == 0


@given(POINTS, st.integers(0, 5))
def test_hypervolume_equals_optunas(points, corner):
    reference = np.full(points.shape[1], float(corner))
    inside = points[(points < reference).all(axis=1)]
    expected = compute_hypervolume(inside, reference) if len(inside) else 0.0
    assert hypervolume.hypervolume_of(points, reference) == pytest.approx(expected)


@given(POINTS)
def test_hypervolume_counts_cells(points):
    """All values are whole numbers: the volume is the number of unit cells that are dominated."""
    if points.shape[1] > 3:
        points = points[:, :3]
    k = points.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(-4, 5)] * k, indexing="ij"), axis=-1).reshape(-1, k)
    covered = (points[:, None, :] <= cells[None]).all(axis=2).any(axis=0)
    assert hypervolume.hypervolume_of(points, np.full(k, 5.0)) == pytest.approx(covered.sum())


def test_points_without_number_and_beyond_the_reference_count_nothing():
    points = np.array([[0.0, np.inf], [2.0, 0.0], [0.5, 0.5]])
    assert hypervolume.hypervolume_of(points, np.ones(2)) == pytest.approx(0.25)
    assert hypervolume.hypervolume_of(points[:1], np.ones(2)) == 0.0
    assert hypervolume.hypervolume_of(points[:0], np.ones(2)) == 0.0


@pytest.mark.parametrize("k", [6, 7])
def test_hypervolume_of_many_objectives_is_close_to_the_exact_one(k):
    points = np.random.default_rng(k).random((12, k))
    assert not hypervolume.is_exact(k)
    found = hypervolume.hypervolume_of(points, np.full(k, 1.1))
    assert found == pytest.approx(compute_hypervolume(points, np.full(k, 1.1)), rel=0.02)
    assert found == hypervolume.hypervolume_of(points, np.full(k, 1.1))


@given(POINTS, st.integers(0, 20))
def test_a_point_more_never_takes_from_the_hypervolume(points, seed):
    more = np.random.default_rng(seed).integers(-4, 5, (1, points.shape[1])).astype(float)
    reference = np.full(points.shape[1], 5.0)
    before = hypervolume.hypervolume_of(points, reference)
    assert hypervolume.hypervolume_of(np.concatenate([points, more]), reference) >= before - 1e-9


def test_no_points():
    none = np.zeros((0, 3))
    assert len(dominance.nondominated(none)) == len(dominance.ranks(none)) == 0


@given(POINTS.map(lambda p: p[dominance.nondominated(p)]), st.floats(0.5, 100.0))
@settings(max_examples=50)
def test_the_knee_is_on_the_front_and_has_no_units(points, unit):
    i = dominance.knees(points)[0]
    assert 0 <= i < len(points)
    assert dominance.knees(points * unit)[0] == i


def test_infinite_values_decide_before_distances_do():
    best, worst = np.array([[0.5, 1.0], [0.9, -np.inf], [0.0, 0.0]]), np.array([[np.inf, 0.0]])
    assert dominance.knees(best)[0] == 1
    assert dominance.knees(np.concatenate([worst, best[[0, 2]]]))[0] == 2
    assert dominance.knees(np.array([[np.inf, np.inf], [np.inf, 3.0]]))[0] == 1


def test_the_knee_of_a_bent_front_is_its_corner():
    points = np.array([[0.0, 1.0], [0.1, 0.5], [0.2, 0.2], [0.5, 0.1], [1.0, 0.0]])
    assert dominance.knees(points)[0] == 2


def test_equally_close_points_are_all_knees_the_best_in_the_first_objective_first():
    assert dominance.knees(np.array([[1.0, 0.0], [0.0, 1.0]])) == [1, 0]
    assert dominance.knees(np.array([[0.1, 0.3], [0.3, 0.1], [0.0, 1.0], [1.0, 0.0]])) == [0, 1]
    assert dominance.knees(np.array([[1.0, 0.0], [1.0, 0.0]])) == [0, 1]
    assert dominance.knees(np.array([[0.0, np.inf], [1.0, 0.0], [0.0, 1.0]])) == [2, 1]


def test_what_spans_decades_is_taken_by_its_logarithm():
    sizes = np.array([1e3, 1e4, 1e5])
    shares = dominance.way_from_best(np.stack([sizes, -sizes, [1.0, 2.0, 5.0]], axis=1))
    np.testing.assert_allclose(shares[:, 0], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(shares[:, 1], [1.0, 0.5, 0.0])
    np.testing.assert_allclose(shares[:, 2], [0.0, 0.25, 1.0])
    assert dominance.way_from_best(np.ones((3, 2))).tolist() == [[0.0, 0.0]] * 3
    endless = np.array([[0.0], [1.0], [np.inf]])
    assert dominance.way_from_best(endless).tolist() == [[0.0], [1.0], [1.0]]


def test_directions():
    directions = optuna.create_study(directions=["minimize", "maximize"]).directions
    assert dominance.losses([(1.0, 2.0)], directions).tolist() == [[1.0, -2.0]]
    assert dominance.losses([], directions).shape == (0, 2)
