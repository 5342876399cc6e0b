"""Who is told of a study's run in addition to its display: trackers, and functions of the user's.

A listener of a `Search` is a function, which is called after every epoch, or a `RunListener`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from optnas.errors import InputError

if TYPE_CHECKING:  # it imports torch, which takes a second
    from optnas.objective.objective import Objective
    from optnas.objective.run_evaluator import Listener


@runtime_checkable
class RunListener(Protocol):
    """Is told of a study's run; `optnas.callbacks` has those that write to trackers.

    In a run with several worker processes each of them has its own, made by the study file. That
    of a worker is told of the worker's trials. That of the process that started the workers is
    told of the ends of all trials.
    """

    def opened(self, study: Study, objective: Objective, *, joined: bool) -> None:
        """A run begins; in a worker process it is joined."""

    def epoch(self, trial: Trial, step: int, scores: Mapping[str, float]) -> None:
        """A trial of this process has reported the scores of an epoch."""

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """A trial has ended; `study.optimize(callbacks=[…])` calls it, too."""

    def closed(self, study: Study, error: BaseException | None) -> None:
        """The run has ended, by an error if one is given."""


def check_listeners(listeners: object) -> tuple[Any, ...]:
    """The listeners as a tuple.

    Raises:
        InputError: They aren't a list of functions and `RunListener` objects.
    """
    if not isinstance(listeners, (list, tuple)):
        raise InputError(
            f"listeners must be a list, such as [optnas.callbacks.TensorBoard('runs')], got "
            f"{listeners!r}"
        )
    for listener in listeners:
        if isinstance(listener, type):
            raise InputError(
                f"the listener {listener.__name__} is a class: give an object, "
                f"{listener.__name__}(…)"
            )
        if not callable(listener):
            raise InputError(
                "a listener must be a tracker of optnas.callbacks or a function "
                f"fn(trial, step, scores), got {listener!r}"
            )
    return tuple(listeners)


def epoch_functions(listeners: Sequence[Any]) -> list[Listener]:
    """What an objective calls after every epoch for these listeners."""
    return [one.epoch if isinstance(one, RunListener) else one for one in listeners]


def run_listeners(listeners: Sequence[Any]) -> list[RunListener]:
    """Those that are told of the whole run."""
    return [one for one in listeners if isinstance(one, RunListener)]


@contextmanager
def listening(
    listeners: Sequence[Any], study: Study, objective: Objective, *, joined: bool = False
) -> Iterator[list[Callable[[Study, FrozenTrial], None]]]:
    """Tells listeners that a run begins, and that it has ended when the block is left.

    Args:
        listeners: Those of the search.
        study: The study.
        objective: Its objective.
        joined: Whether this process is a worker of a run that another one has begun.

    Yields:
        What to call with the study and each trial that has ended.
    """
    told = run_listeners(listeners)
    error: BaseException | None = None

    def close(listener: RunListener) -> None:
        listener.closed(study, error)

    with ExitStack() as closing:  # each is told, also if another one raises an error then
        for listener in reversed(told):
            closing.callback(close, listener)
        try:
            for listener in told:
                listener.opened(study, objective, joined=joined)
            yield [*told]
        except BaseException as caught:
            error = caught
            raise
