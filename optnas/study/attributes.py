"""The names of the user attributes that optnas writes, and what they say of a trial.

Most are on the trials, those from `SEED` on are on the study; plain Optuna reads them all.
"""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

ARCHITECTURE = "architecture"
"""The canonical string of the architecture."""
RECIPE = "recipe"
"""The canonical string of the training recipe."""
BASELINE = "baseline"
"""The name of the hand-made network that this trial measures, if it is one."""
IN_SPACE = "baseline_in_space"
"""Whether that network is an architecture of the search space, which samplers learn from."""
DUPLICATE_OF = "duplicate_of"
"""The number of the trial whose values were reused."""
CURVE = "curve"
"""Scores by epoch: a list of dictionaries with the key `step`."""
FAILURE = "failure"
"""Why the trial failed, where its architecture (or the code) is at fault."""
PRUNED = "pruned"
"""Why the trial was ended early (which bound is broken, say)."""
STOPPED = "stopped_early"
"""Of a training that was stopped because it couldn't reach the front: the last `step`, the values
that the objectives could have reached `at_best`, and the trial that they are `dominated_by`."""
LOST = "lost"
"""Why the trial ended through no fault of its own: `interrupted` or `killed`."""
KILLED, INTERRUPTED = "killed", "interrupted"
RETRY_OF = "retry_of"
"""The number of the lost trial that this trial repeats."""
SURPLUS = "surplus"
"""Why the trial ended before anything was suggested: it was superfluous."""
LEASE = "lease"
"""Which process is running the trial."""
TRAIN_SECONDS = "train_seconds"
"""Seconds that the evaluator took; of a training that was resumed, with those before that."""
DETAIL = "detail:"
"""Prefix of further facts about one measured name, such as `detail:latency_ms`."""
SHARED = "shared_weights"
"""The detail of a trial whose network inherited its weights: what it found, and what it didn't."""
LANGUAGE_MODEL = "language_model"
"""How much of the trial a language model chose, or why it chose nothing."""
PROXIES = "proxies"
"""The zero-cost proxies of the network by name, None where it has none: where the sampler computed
them, so that no other process does that again."""
GRADIENT = "gradient"
"""The preference of a trial that a relaxed network proposed, with its losses and share of skips."""

SEED = "optnas:seed"
"""On the study: its seed."""
SHARED_WEIGHTS = "optnas:shared_weights"
"""On the study: the hash of the weights that all networks share, if they do."""
SOURCE = "optnas:source"
"""On the study: the name of the older study that its sampler learns from, and which trials."""
LANGUAGE_MODEL_NOTE = "optnas:language_model_note"
"""On the study: what a language model noted of the trials so far, and from how many of them."""
RELAXED = "optnas:relaxed"
"""On the study: what a relaxed network has learned."""
TRACKED = "optnas:tracked"
"""On the study: the name under which trackers know it, and the place of its database then."""

_RESERVED = {
    ARCHITECTURE,
    RECIPE,
    BASELINE,
    IN_SPACE,
    DUPLICATE_OF,
    CURVE,
    FAILURE,
    PRUNED,
    STOPPED,
    LOST,
    RETRY_OF,
    SURPLUS,
    LEASE,
    TRAIN_SECONDS,
    LANGUAGE_MODEL,
    GRADIENT,
    PROXIES,
}


def is_reserved(name: str) -> bool:
    """Whether optnas itself keeps something under this user attribute."""
    return name in _RESERVED or name.startswith(DETAIL)


def is_hand_made(trial: FrozenTrial) -> bool:
    """Whether the trial measures a baseline that is no architecture of the search space."""
    return BASELINE in trial.user_attrs and IN_SPACE not in trial.user_attrs


def is_stopped(trial: FrozenTrial) -> bool:
    """Whether the training was stopped early, because it couldn't reach the front."""
    return trial.state == TrialState.PRUNED and STOPPED in trial.user_attrs


def is_counted(trial: FrozenTrial) -> bool:
    """Whether the trial counts: a network was trained, to the end or until it was stopped early."""
    return trial.state == TrialState.COMPLETE or is_stopped(trial)


def has_inherited(study: Study) -> bool:
    """Whether the study's scores are those of inherited weights."""
    return SHARED_WEIGHTS in study.user_attrs


def is_lost(trial: FrozenTrial) -> bool:
    """Whether the trial ended through no fault of its architecture (killed, interrupted)."""
    return trial.state == TrialState.FAIL and LOST in trial.user_attrs


def is_without_result(trial: FrozenTrial) -> bool:
    """Whether the trial ended without a result for its network: lost, or superfluous."""
    return is_lost(trial) or SURPLUS in trial.user_attrs


def retry_of(trial: FrozenTrial) -> int | None:
    """The number of the lost trial that this one repeats; None if it is no retry.

    Other programs may write there: a number that can't be a trial's is no retry either.
    """
    of = trial.user_attrs.get(RETRY_OF)
    return of if type(of) is int and 0 <= of < trial.number else None
