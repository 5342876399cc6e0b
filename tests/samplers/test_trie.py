"""The tree of tried architectures."""

from hypothesis import given, strategies as st
from optuna.distributions import FloatDistribution, IntDistribution

from optnas.samplers.trie import Trie, tried

THREE = IntDistribution(0, 2)
PATHS = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=3).map(
        lambda values: [(f"p{i}{values[:i]}", float(v), THREE) for i, v in enumerate(values)]
    ),
    max_size=12,
)


def made(*paths):
    """A tree of paths, each a dictionary; all parameters have three values."""
    trie = Trie()
    for number, path in enumerate(paths):
        trie.add([(name, float(value), THREE) for name, value in path.items()], number)
    return trie


@given(PATHS, PATHS)
def test_what_is_taken_out_of_a_trie_leaves_no_trace(kept, removed):
    trie, plain = Trie(), Trie()
    for number, path in enumerate([*kept, *removed]):
        trie.add(path, number)
    for path in removed:
        trie.remove(path)
    for number, path in enumerate(kept):
        plain.add(path, number)
    for path in [*kept, *removed]:
        params = {name: key for name, key, _ in path}
        assert tried(trie.root, params) == tried(plain.root, params)
    assert trie.root.closed == plain.root.closed


def test_a_prefix_of_a_longer_path_is_not_the_end():
    trie = made({"a": 0})  # failed before the next parameter was drawn
    assert tried(trie.root, {"a": 0.0})
    trie = made({"a": 0}, {"a": 0, "b": 1})
    assert not tried(trie.root, {"a": 0.0})
    assert tried(trie.root, {"a": 0.0, "b": 1.0})


NAMES = ("a", "b", "c")
ORDERED = st.lists(
    st.tuples(st.permutations(NAMES), st.tuples(*[st.integers(0, 2)] * 3)), min_size=1, max_size=8
)


@given(ORDERED, st.tuples(*[st.integers(0, 2)] * 3))
def test_the_order_of_drawing_makes_no_difference(drawn, asked):
    """An oracle: the set of all that was drawn."""
    params = [dict(zip(NAMES, values, strict=True)) for _, values in drawn]
    trie = made(
        *({n: own[n] for n in order} for (order, _), own in zip(drawn, params, strict=True))
    )
    network = {name: float(value) for name, value in zip(NAMES, asked, strict=True)}
    assert tried(trie.root, network) == (network in params)


def test_a_path_without_a_parameter_is_another_architecture():
    trie = made({"a": 0, "b": 1}, {"c": 2, "a": 1, "b": 1})
    assert not tried(trie.root, {"c": 0.0, "a": 0.0, "b": 1.0})
    assert tried(trie.root, {"c": 2.0, "a": 1.0, "b": 1.0})


def test_the_newest_range_counts():
    trie = Trie()
    for number in range(3):
        trie.add([("a", float(number), THREE)], number)
    fork = trie.root.forks["a"]
    assert fork.full
    wider, elsewhere = IntDistribution(0, 3), IntDistribution(2, 3)
    assert not fork.is_full_in(wider)
    assert fork.is_full_in(IntDistribution(1, 2))
    trie.add([("a", 3.0, elsewhere)], 3)
    assert fork.full
    assert not fork.is_full_in(FloatDistribution(0, 3))
    trie.add([("a", 1.0, THREE)], 1)  # a late one, of a worker
    assert fork.full
    trie.add([("a", 1.0, IntDistribution(1, 9))], 4)
    assert not fork.full
