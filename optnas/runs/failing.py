"""Ends a run that leads nowhere, and explains why."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.errors import InputError
from optnas.objective.bounds import bound_in
from optnas.runs.tally import Tally
from optnas.samplers.base import HistorySampler
from optnas.samplers.mutation import genes_of
from optnas.samplers.success import success_model
from optnas.study.attributes import DUPLICATE_OF, FAILURE, PRUNED, is_hand_made, is_without_result
from optnas.study.trial_order import in_order_of_completion
from optnas.utils.text import number, plural

REFUSED = 30
"""A run ends after this many trials if each breaks a bound that is known before training, and no
nearer than one before them. Each stands for many networks: a sampler begins a trial up to
`samplers.base.ATTEMPTS` times until its network keeps the bounds."""
LIKELY = 0.75
"""With this probability that its network succeeds, or a larger one, a failure is unexpected."""
HUGE = 2
"""By this factor, or more, a value is so far beyond a bound that the factor is told, too."""
_VALUE = r"0x[0-9a-f]+|[-+]?(?:\d[\d_]*(?:\.\d*)?(?:e[-+]?\d+)?|\b(?:inf|nan)\b)"
_UNIT = r"\s?(?:[kmgt]i?b|bytes?)\b"
_VARYING = re.compile(
    rf"(?:{_VALUE})(?:{_UNIT})?(?:,\s*(?:{_VALUE}))*|\btmp\w{{8}}\b", re.IGNORECASE
)
"""What differs between failures for one reason: numbers with units of memory, shapes, addresses,
and names of temporary files."""


def check_success(study: Study, tally: Tally, wanted: int, max_failures: int) -> None:
    """Raises InputError if a run should stop because its trials don't succeed.

    Args:
        study: The study.
        tally: The run's tally.
        wanted: Trials to reach that count. The run stops after `10 · wanted + 100` trials that
            were pruned or failed; or before that, if no network keeps the bounds (see `REFUSED`).
        max_failures: The run stops after this number of failures in a row for one reason. Those
            that were to be expected don't count: a reason that fails large networks, say, will
            fail further ones, but a full disk or a broken loader of data fails any network.
    """
    unsuccessful = tally.unsuccessful
    if len(unsuccessful) >= 10 * wanted + 100 or _nothing_keeps_the_bounds(study, tally):
        raise InputError(_why_infeasible(unsuccessful, tally.counted, wanted))
    row = _same_failures(tally.ended)
    if len(row) >= max_failures and len(_unexpected(study, row)) >= max_failures:
        reason = str(tally.ended[-1].user_attrs[FAILURE]).rstrip(".")
        raise InputError(
            f"the last {plural(max_failures, 'trial')} failed for the same reason, so the run "
            f"stops; what was measured is kept. The last one: {reason}. Correct the cause and run "
            "it again, or give a larger `max_failures=` if many networks must fail"
        )


def _nothing_keeps_the_bounds(study: Study, tally: Tally) -> bool:
    """Whether all networks break a bound that is known before training, and none comes nearer."""
    sampler, trials = study.sampler, tally.unsuccessful
    if tally.proven or len(trials) <= REFUSED or not isinstance(sampler, HistorySampler):
        return False
    excesses = [_excess(trial) for trial in trials]
    since = trials[excesses.index(min(excesses)) + 1 :]
    return len(since) >= REFUSED and all(
        trial.state == TrialState.PRUNED and sampler.is_known_to_break(trial.params)
        for trial in since[-REFUSED:]
    )


def _excess(trial: FrozenTrial) -> float:
    """How far a trial breaks its bounds; infinite for one that failed."""
    if trial.state != TrialState.PRUNED:
        return math.inf
    return sum(max(excess, 0.0) for excess in trial.constraints.values())


def _same_failures(ended: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The failures in a row for one reason that the trials end with."""
    row: list[FrozenTrial] = []
    for trial in reversed(ended):
        reason = kind_of_failure(trial)
        if reason is None or reason != kind_of_failure(ended[-1]):
            break
        row.insert(0, trial)
    return row


def _unexpected(study: Study, row: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The failures of a row that the trials before it gave no reason to expect.

    What fails for that reason is learned from the trials before the row. While it never occurred,
    or nothing else did, there is nothing to expect.
    """
    finished = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
    ended = in_order_of_completion([t for t in finished if not is_without_result(t)])
    # A trial that reused the values of an earlier one ran nothing, so it proves nothing.
    ran = [t for t in ended if DUPLICATE_OF not in t.user_attrs]
    drawn = [t for t in ran if t.params and not is_hand_made(t)]
    before = drawn[: len(drawn) - len(_same_failures(drawn))]
    model = success_model(before, [kind_of_failure(t) == kind_of_failure(row[0]) for t in before])
    if model is None:
        return list(row)
    likely = model.probability([genes_of(trial) for trial in row]) >= LIKELY
    return [t for t, might in zip(row, likely, strict=True) if might or is_hand_made(t)]


def kind_of_failure(trial: FrozenTrial) -> str | None:
    """The reason why a trial failed, without what varies in it; None if it didn't fail."""
    reason = trial.user_attrs.get(FAILURE)
    if trial.state != TrialState.FAIL or reason is None:
        return None
    return without_numbers(str(reason))


def without_numbers(reason: str) -> str:
    """A reason without what varies between networks that fail for it."""
    return _VARYING.sub("#", reason)


def most_frequent_failure(failed: Sequence[FrozenTrial]) -> tuple[str, int]:
    """Of the reason why most of some failed trials failed: that of its first one, and how many."""
    kinds = [kind_of_failure(trial) for trial in failed]
    kind, times = Counter(kinds).most_common(1)[0]
    first = failed[kinds.index(kind)]
    return str(first.user_attrs.get(FAILURE, "no reason given")), times


def _why_infeasible(unsuccessful: Sequence[FrozenTrial], counted: int, wanted: int) -> str:
    was = "was" if len(unsuccessful) == 1 else "were"
    lines = [
        f"{plural(len(unsuccessful), 'trial')} of this run {was} pruned or failed and {counted} of "
        f"{wanted} are done, so the run stops; what was measured is kept."
    ]
    broken: dict[str, list[tuple[float, FrozenTrial]]] = {}
    for trial in unsuccessful:
        for name, excess in trial.constraints.items():
            if excess > 0:
                broken.setdefault(name, []).append((excess, trial))
    lines += (_how_broken(name, found) for name, found in broken.items())
    failed = [t for t in unsuccessful if t.state == TrialState.FAIL]
    if failed:
        reason, times = most_frequent_failure(failed)
        lines.append(f"The most frequent failure ({times} times): {reason.rstrip('.')}.")
    if 2 * len(failed) >= len(unsuccessful):
        lines.append("Correct the cause, then run it again.")
    else:
        lines.append("Loosen the bounds.")
    return " ".join(lines)


def _how_broken(name: str, found: Sequence[tuple[float, FrozenTrial]]) -> str:
    """How often a bound was broken, and by how much at least."""
    excess, trial = min(found, key=lambda pair: pair[0])
    value = trial.user_attrs.get(name, math.nan)
    texts = (str(one.user_attrs.get(PRUNED, "")) for _, one in found)
    bound = next((b for text in texts if (b := bound_in(text, name)) is not None), None)
    told = "" if bound is None else f", {number(bound)},"
    times = value / bound if bound else 1.0
    ratio = f" ({number(times)} times the bound)" if times >= HUGE or 0 < times <= 1 / HUGE else ""
    return (
        f"The bound on {name}{told} was broken {len(found)} times; the nearest was "
        f"{number(value)}, which is off by {excess:.4g}{ratio}."
    )
