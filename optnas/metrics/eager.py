"""Passes that are seen operation by operation.

`EagerMode` sees the operations of the thread that runs a pass, of threads that the pass starts, and
of the work that it gives to thread pools. It follows control flow (`torch.cond`, `while_loop`,
`scan`, `flex_attention`) into the branches that are taken and the steps that are run. What would
hide operations is switched off: the compiler (`uncompiled`) and fused operations (`unfused`).
"""

from __future__ import annotations

import sys
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar

import torch
from torch import Tensor
from torch._ops import OperatorBase, OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

P = ParamSpec("P")
T = TypeVar("T")


class _Thread(threading.local):
    """What is known of the present thread: the mode that it runs under."""

    mode: EagerMode | None = None


_here = _Thread()


class EagerMode(TorchDispatchMode):
    """Intercepts each operation of a pass, as PyTorch runs it without a compiler."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and importing the compiler takes a second

    @abstractmethod
    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs an operation, looks at it, and returns its result."""

    @abstractmethod
    def for_thread(self) -> Self:
        """The mode of a thread that this one starts now."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if types and any(t.__torch_dispatch__ is not Tensor.__torch_dispatch__ for t in types):
            return NotImplemented  # a subclass of Tensor: it calls other operations, seen instead
        if not isinstance(func, OpOverload):  # control flow, which calls functions among args
            args = tuple(self._seen(a) if _is_function(a) else a for a in args)
        return self.run(func, args, kwargs or {})

    def _seen(self, function: Callable[P, T]) -> Callable[P, T]:
        def seen(*args: P.args, **kwargs: P.kwargs) -> T:
            with self:
                return function(*args, **kwargs)

        return seen

    @classmethod
    def of_this_thread(cls) -> Self | None:
        """The mode that this thread runs under; None in a thread that isn't followed."""
        return _here.mode if isinstance(_here.mode, cls) else None

    @contextmanager
    def following(self) -> Iterator[None]:
        """Sees what this thread does, without gradients, and what it gives to other threads."""
        before, _here.mode = _here.mode, self
        try:
            with torch.no_grad(), self:
                yield
        finally:
            _here.mode = before

    def followed(self, work: Callable[P, T]) -> Callable[P, T]:
        """`work`, which another thread is to do, so that its operations are seen there."""
        mode = self.for_thread()

        def seen(*args: P.args, **kwargs: P.kwargs) -> T:
            with mode.following():
                return work(*args, **kwargs)

        return seen


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, OperatorBase)


def uncompiled(count: Callable[P, T]) -> Callable[P, T]:
    """Makes a function run without the compiler, and so control flow and compiled modules too.

    Control flow imports the compiler, which takes a second, when it runs for the first time in a
    process. The pass may then have failed halfway, and is run again.
    """

    @wraps(count)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if "torch._dynamo" not in sys.modules:
            try:
                return count(*args, **kwargs)
            except Exception:
                if "torch._dynamo" not in sys.modules:
                    raise
                torch._dynamo.reset()  # it remembers what it failed to compile
        with torch.compiler.set_stance("force_eager"):
            return count(*args, **kwargs)

    return run


_process = threading.RLock()


@contextmanager
def unfused(*, onednn: bool) -> Iterator[None]:
    """Runs multi-head attention operation by operation, recurrent layers too, and follows threads.

    These are settings of the whole process, so only one thread at a time is inside the block.

    Args:
        onednn: Whether oneDNN stays on; it runs a recurrent layer as one operation.
    """
    with _process, _followed_threads():
        before = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        torch._C._set_mkldnn_enabled(onednn and before[1])
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(before[0])
            torch._C._set_mkldnn_enabled(before[1])


@contextmanager
def _followed_threads() -> Iterator[None]:
    """Lets threads and pools that get work from a thread with a mode do it under the mode."""
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def followed_start(thread: threading.Thread) -> None:
        if _here.mode is not None:
            thread.run = _here.mode.followed(thread.run)  # type: ignore[method-assign]
        start(thread)

    def followed_submit(
        pool: ThreadPoolExecutor, work: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> Future[T]:
        if _here.mode is None:
            return submit(pool, work, *args, **kwargs)
        # A thread that the pool starts now isn't followed as a whole: it may live for long.
        mode, _here.mode = _here.mode, None
        try:
            return submit(pool, mode.followed(work), *args, **kwargs)
        finally:
            _here.mode = mode

    threading.Thread.start = followed_start  # type: ignore[method-assign, assignment]
    ThreadPoolExecutor.submit = followed_submit  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]
