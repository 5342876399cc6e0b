"""Whether code, and what belongs to it, has changed."""

import ast
import functools
import linecache
import operator
import threading
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from optnas.errors import InputError
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.syntax import _dump


def compiled(code, text):
    """A function whose file holds another text by now."""
    namespace = {}
    exec(compile(code, "edited.py", "exec"), namespace)
    linecache.cache["edited.py"] = len(text), None, text.splitlines(keepends=True), "edited.py"
    return namespace["f"]


@pytest.mark.parametrize("kind", ["def f(x):\n    return {}\n", "f = lambda x: {}\n"])
@pytest.mark.parametrize("text", ["", "def f(\n", "def f(): '''", "def f(): '", "prose, it's\n"])
def test_a_file_that_is_not_the_codes_any_more_leaves_the_code_itself(text, kind):
    one, other = kind.format(1), kind.format(2)
    try:
        hashes = [code_hash(compiled(code, text)) for code in (one, one, other)]
    finally:
        del linecache.cache["edited.py"]
    assert hashes[0] == hashes[1] != hashes[2]


def net(width, hidden=8):
    return width * hidden


def other_net(width, hidden=8):
    return width + hidden


class Scaled:
    """Holds what its call depends on."""

    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return x

    def once(self, x):
        return x

    def twice(self, x):
        return x


@dataclass(frozen=True)
class Record:
    by: object

    def __call__(self, x):
        return x


class Loss(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.register_buffer("weight", torch.full((3,), value))

    def forward(self, outputs, targets):
        return outputs


def filled(module, value):
    for parameter in module.parameters():
        nn.init.constant_(parameter, value)
    return module


def marked(tensor, value):
    tensor.mark = value
    return tensor


def hooked(module, function):
    module.register_forward_hook(function)
    return module


class Itself:
    def __init__(self):
        self.me = [self]

    def __call__(self):
        return self.me


def closing_over(value):
    def function(x):
        return x, value

    return function


def with_default(value):
    def function(x, more=value):
        return x, more

    return function


def made_class(value):
    class Net(nn.Module):
        def forward(self, x):
            return x, value

    return Net


def class_with_attribute(value):
    class Net(nn.Module):
        width = value

    return Net


def class_with_base(value):
    base = type("Base", (nn.Module,), {"width": value, "__module__": __name__})

    class Net(base):
        pass

    return Net


def times(number):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return number * function(*args)

        return wrapper

    return decorate


def with_attribute(value):
    def function(x):
        return function.by

    function.by = value
    return function


class Decorated:
    """A decorator that is a class, with a setting of its own."""

    def __init__(self, function, by):
        self.by = by
        functools.update_wrapper(self, function)

    def __call__(self, x):
        return self.by * self.__wrapped__(x)


class Settings(dict):
    """Answers to any attribute, as settings objects do."""

    def __getattr__(self, name):
        return self[name]


MAKERS = {
    "the arguments of a partial": lambda v: functools.partial(net, hidden=v),
    "a partial of a partial": lambda v: functools.partial(functools.partial(net, v), hidden=1),
    "a partial of a method": lambda v: functools.partial(Scaled(v).once, 1),
    "a closure": closing_over,
    "an array in a closure": lambda v: closing_over(np.full(3, v)),
    "a tensor in a list in a closure": lambda v: closing_over([torch.full((3,), v)]),
    "a set in a closure": lambda v: closing_over({str(v), "a", "b"}),
    "the closure of a lambda": lambda v: lambda x: (x, v),
    "a function in a closure": lambda v: closing_over((net, other_net)[v % 2]),
    "a default": with_default,
    "the default of a lambda": lambda v: lambda x, more=v: (x, more),
    "an attribute of a function": with_attribute,
    "an attribute of an object": Scaled,
    "an object in an object": lambda v: Scaled({"by": Scaled(v)}),
    "a bound method": lambda v: Scaled(v).once,
    "a field of a dataclass": Record,
    "a setting of a module": lambda v: nn.CrossEntropyLoss(label_smoothing=1 / v),
    "a weight of a module": lambda v: nn.CrossEntropyLoss(torch.full((3,), float(v))),
    "a buffer of a module": lambda v: Loss(float(v)),
    "a generator's state": lambda v: Scaled(torch.Generator().manual_seed(v)),
    "a class's closure": made_class,
    "a class's attribute": class_with_attribute,
    "a class's base": class_with_base,
    "a class that type() makes": lambda v: type("Net", (nn.Module,), {"width": v}),
    "what a decorator closes over": lambda v: times(v)(net),
    "what is decorated": lambda v: times(2)(with_default(v)),
    "what is cached": lambda v: functools.cache(with_default(v)),
    "what runs without gradients": lambda v: torch.no_grad()(with_default(v)),
    "a decorator that is an object": lambda v: Decorated(net, v),
    "an object that answers to any attribute": lambda v: closing_over(Settings(by=v)),
    "an item getter": operator.itemgetter,
    "a tensor of bfloat16": lambda v: Scaled(torch.full((2,), v, dtype=torch.bfloat16)),
    "a sparse tensor": lambda v: Scaled(torch.full((2,), v).to_sparse()),
    "a masked array": lambda v: Scaled(np.ma.array([1, 2], mask=[v % 2, 0])),
    "a parametrized layer": lambda v: Scaled(weight_norm(filled(nn.Linear(2, 2), v))),
    "a tensor with an attribute": lambda v: Scaled(marked(torch.ones(2), v)),
    "a hook": lambda v: hooked(Loss(1.0), with_default(v)),
    "a layer without a size yet": lambda v: Scaled(nn.LazyLinear(v)),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_equal_ones_have_one_hash_and_others_another(make):
    assert code_hash(make(3)) == code_hash(make(3))
    assert code_hash(make(3)) != code_hash(make(4))
    assert " at 0x" not in callable_name(make(3))


# Two on a line, which a source line doesn't tell apart.
FIRST, SECOND = lambda x: x + 1, lambda x: x + 2  # fmt: skip
# fmt: off
MOVED = [{"trials": 3}, lambda x: x
         + 1]
# fmt: on


def test_a_lambda_is_its_own_code_and_not_the_statement_around_it():
    assert code_hash(FIRST) != code_hash(SECOND)
    assert code_hash(MOVED[1]) == code_hash(FIRST)
    outer = lambda x: lambda y: x + y  # noqa: E731
    assert code_hash(outer) != code_hash(outer(1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.add, torch.sub),
        (functional.gelu, functional.relu),
        (np.add, np.subtract),
        (len, abs),
        (nn.ReLU, nn.Tanh),
        (net, other_net),
        (Scaled(1).once, Scaled(1).twice),
        (Scaled(1), Record(1)),
        (net, times(1)(net)),
    ],
)
def test_functions_and_classes_without_settings_are_told_apart(one, other):
    assert code_hash(one) == code_hash(one) != code_hash(other)


@pytest.mark.slow  # to import the compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_torch_compiles_is_what_it_was():
    for make in (with_default, lambda value: Loss(float(value))):
        hashes = [code_hash(torch.compile(make(value))) for value in (3, 3, 4)]
        assert hashes[0] == hashes[1] != hashes[2]


def test_an_object_that_holds_itself_has_a_hash():
    assert code_hash(Itself()) == code_hash(Itself())


def test_a_computed_property_changes_no_hash():
    class Lazy(Scaled):
        @functools.cached_property
        def total(self):
            return 3

    used = Lazy(1)
    before = code_hash(used)
    assert used.total == 3
    assert code_hash(used) == before


@pytest.mark.parametrize(
    "make",
    [closing_over, Scaled, with_default, lambda v: functools.partial(net, v)],
    ids=["closure", "object", "default", "partial"],
)
def test_what_cant_be_told_apart_is_refused_with_the_way_out(make):
    with pytest.raises(InputError, match=r"can't be told from .*_thread.lock.*in its body"):
        code_hash(make(threading.Lock()))


def test_the_syntax_is_that_of_one_version_of_python():
    # What ast.dump returns in Python 3.11; 3.12 adds `type_params`, and 3.13 leaves out `args=[]`.
    text = _dump(ast.parse("def f(x, *, y=None) -> int:\n    return f(x=None)"))
    assert text == (
        "Module(body=[FunctionDef(name='f', args=arguments(posonlyargs=[], args=[arg(arg='x')], "
        "kwonlyargs=[arg(arg='y')], kw_defaults=[Constant(value=None)], defaults=[]), "
        "body=[Return(value=Call(func=Name(id='f', ctx=Load()), args=[], keywords=[keyword("
        "arg='x', value=Constant(value=None))]))], decorator_list=[], "
        "returns=Name(id='int', ctx=Load()))], type_ignores=[])"
    )


def test_the_hash_of_plain_code_is_that_of_old_studies():
    # Computed with `sha256(ast.dump(ast.parse(source)))` in Python 3.11.
    source = "def f():\n    return 1\n"
    try:
        assert code_hash(compiled(source, source)) == "00a0b18f7a82"
    finally:
        del linecache.cache["edited.py"]
