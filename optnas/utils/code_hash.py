"""Hashes what a user's function, class or object does, so that a change of it is noticed.

A function is its code, the values that it closes over, and its defaults; an object is its class and
what pickle would keep of it. So partials, bound methods, modules and dataclasses need no rule of
their own, and what pickle can't keep (a lock, an open file) can't be told apart: it is refused.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from types import CellType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from optnas.errors import InputError
from optnas.utils.syntax import (
    UNREADABLE,
    code_text,
    computed_attributes,
    has_literal_defaults,
    source_text,
)

_BY_NAME = {*sys.stdlib_module_names, "optnas", "torch", "numpy"}
"""Packages whose functions and classes are told by their names: an upgrade changes no hash."""

_NO_STATE = ("_compiled_call_impl", "_flat_weight_refs")
"""Attributes of modules that pickle leaves out: the second are weak references of an LSTM."""

_VALUES = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
"""Types of values whose `repr` says everything."""


def code_hash(*things: object) -> str:
    """Hashes the code of functions, classes and objects, without comments and layout.

    Included are the values that a function closes over, its defaults, the function and arguments of
    a partial, and the attributes, parameters and buffers of an object. The functions that the code
    calls, and the global names in it, aren't.

    Returns:
        12 hexadecimal digits. Those of a function or class of which nothing but its code matters
        are the same for each version of Python.

    Raises:
        InputError: One holds something that can't be told from another one of its kind.
    """
    walk = _Walk()
    return _digest("".join(map(walk.whole, things)))[:12]


def class_code(thing: object) -> str:
    """A hash of the code of an object's class; empty for a class of optnas."""
    cls = type(thing)
    return "" if cls.__module__.startswith("optnas.") else code_hash(cls)


def callable_name(thing: object) -> str:
    """The name of a function, class, partial or callable object, without an address."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    name = getattr(thing, "__qualname__", None)
    return name if isinstance(name, str) else type(thing).__qualname__


class _Walk:
    """Describes objects, each once."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}
        self._known: dict[int, str] = {}
        self._alive: list[object] = []  # so that no other object gets the same id

    def whole(self, thing: object) -> str:
        """The description of what a user gave, in full."""
        try:
            if isinstance(thing, FunctionType) and not _is_wrapper(thing):
                return self._function(thing, by_name=False)
            return self._class(thing, by_name=False) if isinstance(thing, type) else self(thing)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{callable_name(thing)} can't be told from another one of its kind, because it "
                f"holds something that can't be compared ({str(error) or type(error).__name__}): "
                "give a function that makes that something in its body, or refers to it as a "
                "global of its file"
            ) from error

    def __call__(self, thing: object) -> str:
        """A short description of anything: the values themselves, or a hash."""
        if type(thing) in _VALUES:
            return f"{type(thing).__name__} {thing!r}"
        if id(thing) in self._above:
            return f"the one {len(self._above) - self._above[id(thing)]} above"
        if id(thing) not in self._known:
            self._above[id(thing)] = len(self._above)
            self._alive.append(thing)
            try:
                self._known[id(thing)] = _digest(self._describe(thing))
            finally:
                del self._above[id(thing)]
        return self._known[id(thing)]

    def _all(self, kind: str, things: Iterable[object]) -> str:
        return f"{kind}({', '.join(map(self, things))})"

    def _describe(self, thing: Any) -> str:
        compiled = _attributes(thing).get("_torchdynamo_orig_callable")
        if compiled is not None:  # torch.compile changes the speed; of a module it has `forward`
            return self(compiled.__self__ if isinstance(thing, torch.nn.Module) else compiled)
        match thing:
            case type():
                return self._class(thing, by_name=_is_known(thing.__module__))
            case FunctionType():
                return self._function(thing, by_name=_is_known(_module(thing)))
            case MethodType():
                return self._all("method", (thing.__func__, thing.__self__))
            case ModuleType():
                return f"module {thing.__name__}"
            case torch.utils.hooks.RemovableHandle():
                return "handle of a hook"
            case property():
                return self._all("property", (thing.fget, thing.fset, thing.fdel))
            case functools.cached_property():
                return self._all("property", (thing.func,))
            case staticmethod() | classmethod():
                return self._all(type(thing).__name__, (thing.__func__,))
            case torch.Tensor() if _is_plain(thing):
                return self._tensor(thing)
            case torch.nn.Module():
                return self._all("module", (type(thing), _state(thing)))
            case np.ndarray() if type(thing) is np.ndarray and not thing.dtype.hasobject:
                values = np.ascontiguousarray(thing).tobytes()
                return f"array {thing.dtype.descr} {thing.shape} {_digest(values)}"
        if type(thing) in (list, tuple):
            return self._all(type(thing).__name__, thing)
        if type(thing) in (dict, MappingProxyType):
            return self._all("dict", (one for item in thing.items() for one in item))
        if type(thing) in (set, frozenset):  # which have another order in each process
            return f"{type(thing).__name__}({', '.join(sorted(map(self, thing)))})"
        return self._object(thing)

    def _tensor(self, tensor: torch.Tensor) -> str:
        values = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().flatten()
        digest = _digest(values.view(torch.uint8).numpy().tobytes())
        kind = f"{tensor.dtype} {tuple(tensor.shape)} {tensor.requires_grad} {digest}"
        return self._all(kind, (type(tensor), _attributes(tensor)))

    def _object(self, thing: Any) -> str:
        """What pickle would keep of an object."""
        reduce = copyreg.dispatch_table.get(type(thing))
        kept = reduce(thing) if reduce else thing.__reduce_ex__(4)
        if isinstance(kept, str):  # a name of its module; functools.cache wraps a function there
            name = f"{getattr(thing, '__module__', None)}.{kept} {type(thing).__qualname__}"
            return self._all(name, (_attributes(thing).get("__wrapped__"),))
        how, arguments, state, items, pairs = (*kept, None, None, None)[:5]
        if isinstance(state, dict):
            state = {k: v for k, v in state.items() if not _is_cache(type(thing), k)}
        parts = how, arguments, state, list(items or ()), list(pairs or ())
        return self._all("object", (type(thing), *parts))

    def _function(self, function: FunctionType, *, by_name: bool) -> str:
        code = function.__code__
        text = f"{_module(function)}.{code.co_qualname}" if by_name else code_text(code)
        return text + self._around(function)

    def _around(self, function: FunctionType) -> str:
        """What a function has besides its code; empty for most."""
        code = function.__code__
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        return self._further(
            # __class__ is what `super()` needs: the class that is being described.
            closure=[_content(cell) for name, cell in cells if name != "__class__"],
            defaults=_computed(function),
            attributes=[one for pair in vars(function).items() for one in pair],
        )

    def _further(self, **things: list[Any]) -> str:
        return "".join(self._all(name, found) for name, found in things.items() if found)

    def _class(self, cls: type, *, by_name: bool) -> str:
        name = f"{cls.__module__}.{cls.__qualname__}"
        if by_name:
            return name
        try:
            text = source_text(cls)
        except UNREADABLE:
            members = {k: v for k, v in vars(cls).items() if _is_own(k, v)}
            return self._all(name, (*cls.__bases__, members))
        if _is_known(cls.__module__):
            return text
        given = [vars(cls)[n] for n in computed_attributes(cls) if n in vars(cls)]
        further = self._further(
            bases=[base for base in cls.__mro__[1:] if base.__module__ == cls.__module__],
            attributes=[one for one in given if not isinstance(one, FunctionType)],
        )
        return "".join([text, further, *map(self._around, _functions(cls))])


def _digest(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def _is_known(module: str) -> bool:
    return module.partition(".")[0] in _BY_NAME


def _attributes(thing: object) -> dict[str, Any]:
    """What an object itself has; a `__getattr__` isn't asked."""
    found = getattr(thing, "__dict__", None)
    return found if isinstance(found, dict) else {}


def _state(module: torch.nn.Module) -> dict[str, Any]:
    """The attributes of a module; its hooks without their numbers, which count those of all."""
    return {
        name: list(value.values()) if "_hooks" in name and isinstance(value, dict) else value
        for name, value in vars(module).items()
        if name not in _NO_STATE and not _is_cache(type(module), name)
    }


def _module(function: FunctionType) -> str:
    """The module whose code a function is; a decorator sets `__module__` to another one."""
    return str(function.__globals__.get("__name__", ""))


def _is_wrapper(function: FunctionType) -> bool:
    """Whether a decorator of a known package made the function."""
    return bool(function.__closure__) and _is_known(_module(function))


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor has values in memory, one an element."""
    lazy = torch.nn.parameter.is_lazy(tensor)
    return not lazy and tensor.layout == torch.strided and not tensor.is_quantized


def _is_cache(cls: type, name: object) -> bool:
    """Whether an attribute is a value that a cached property has computed."""
    return isinstance(inspect.getattr_static(cls, str(name), None), functools.cached_property)


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it is assigned later
        return None


def _computed(function: FunctionType) -> list[object]:
    """The defaults of a function's arguments, unless all of them stand in its code."""
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [] if not defaults or has_literal_defaults(function.__code__) else defaults


def _functions(cls: type) -> Iterator[FunctionType]:
    """The functions in the body of a class."""
    for member in vars(cls).values():
        inner = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if isinstance(inner, FunctionType) and inner.__module__ == cls.__module__:
            yield inner


def _is_own(name: str, value: object) -> bool:
    """Whether a member of a class was given by its maker."""
    if name == "_abc_impl":
        return False
    return isinstance(value, FunctionType) or not (name.startswith("__") and name.endswith("__"))
