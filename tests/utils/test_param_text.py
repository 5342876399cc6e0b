"""Other parameters have another text."""

import pytest
from hypothesis import given, settings, strategies as st

from optnas.utils.param_text import has_twin, params_text

WORDS = st.text(alphabet="ab1 ='\"\n", max_size=5)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.floats(0, 1), WORDS)
PARAMS = st.dictionaries(WORDS.filter(bool), st.one_of(WORDS, st.integers(0, 2)), max_size=3)


def text(params, choices=()):
    """The text of parameters that were drawn from the same choices."""
    return params_text(params.items(), [n for n, v in params.items() if has_twin(v, choices)])


@settings(max_examples=400, deadline=None)
@given(PARAMS, PARAMS)
def test_other_parameters_have_another_text(one, other):
    choices = [*one.values(), *other.values()]
    same = repr(list(one.items())) == repr(list(other.items()))
    assert (text(one, choices) == text(other, choices)) == same


@given(st.lists(VALUES, min_size=2))
def test_choices_of_one_parameter_have_texts_of_their_own(choices):
    texts = {repr(value): text({"h": value}, choices) for value in choices}
    assert len(set(texts.values())) == len(texts)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"width": 8, "activation": "relu"}, "width=8 activation=relu"),
        ({"op": "3x3 conv", "rate": 0.1, "norm": None}, "op=3x3 conv rate=0.1 norm=None"),
        ({"kernel": "3", "on": True, "name": ""}, "kernel=3 on=True name="),
        ({"stage1.block2.kernel_size": "it's"}, "stage1.block2.kernel_size=it's"),
    ],
)
def test_the_usual_texts_are_those_of_old_studies(params, expected):
    assert text(params, choices=params.values()) == expected
