"""Members of the front are evaluated again, with fresh seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from optuna import TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from optnas.candidate import Candidate
from optnas.devices.device import cpu_threads, release_memory
from optnas.errors import CandidateError, InputError, fault_of_candidate
from optnas.evaluators.abilities import training_of
from optnas.evaluators.reporting import finite, promised, reporting
from optnas.finished.decode import decode, recipe_of
from optnas.finished.revisit import accepted_changes, complete_trial, fresh_candidate
from optnas.objective.objective import Objective
from optnas.pareto.confirmed import Confirmed, confirmed, keep_repeat, standing
from optnas.pareto.dominance import losses, spread
from optnas.pareto.front import front, why_no_front
from optnas.search.search import Search
from optnas.study.attributes import has_inherited
from optnas.study.describe import architecture_name
from optnas.study.objectives import maximized, objective_names
from optnas.utils.progress_bar import Steps
from optnas.utils.text import number


def confirm(
    study: Study,
    search: Search,
    *,
    trials: Sequence[int] | None = None,
    most: int | None = None,
    seeds: int = 3,
    progress: bool = True,
    accept_changes: bool = False,
) -> dict[int, Confirmed]:
    """Evaluates members of the front again, each with other seeds and the recipe that it drew.

    Where the search scored them with shared weights, they are trained for real.

    Everything that a seed may change is found again: the evaluator's scores, and the metrics that
    are no counts, such as a latency. Each result is kept in the study at once (the attribute
    `confirmed:TRIAL`), and what is there isn't repeated. The seeds go round the members, so that
    all have about as many whenever it is interrupted.

    Args:
        study: The study.
        search: What it was run with.
        trials: Numbers of COMPLETE trials; by default the front.
        most: Of a front that has more members, so many, which keep most of its hypervolume.
        seeds: Fresh evaluations that each is to have, those there are included.
        progress: Whether to show it.
        accept_changes: Whether to go on although settings differ from the study's.

    Returns:
        All that are confirmed by now (`optnas.pareto.confirmed.standing` judges them).

    Raises:
        InputError: There is no such trial, no front, or numbers made now couldn't be compared.
    """
    if seeds < 1:
        raise InputError(f"seeds must be at least 1, got {seeds}")
    if most is not None and (most < 1 or trials is not None):
        raise InputError(
            f"most={most} must be at least 1: how many of the front"
            if trials is None
            else "either trials or the most promising of the front: give one of them"
        )
    numbers = _members(study, most) if trials is None else trials
    chosen = [complete_trial(study, n) for n in dict.fromkeys(numbers)]
    if not chosen:
        raise InputError(why_no_front(study))
    objective = search.objective()
    changes = accepted_changes(
        study, search, objective, concerns=lambda key: True, accept=accept_changes
    )
    for trial in chosen:
        decode(objective, trial)
    there = confirmed(study)
    missing = [
        (k, trial)
        for k in range(seeds)
        for trial in chosen
        if trial.number not in there or k not in there[trial.number].tried
    ]
    console = Console(stderr=True, quiet=not progress)
    with cpu_threads(search.threads), Steps(len(missing), "evaluations", console) as display:
        for k, trial in missing:
            about = f"trial {trial.number}, fresh seed {k}"
            display.running(about)
            candidate = fresh_candidate(objective, study, trial, "confirm", k)
            values, failure = _evaluated(objective, trial, candidate, display, about)
            keep_repeat(study, trial.number, k, values, failure, changes)
            shown = "  ".join(f"{name} {number(value)}" for name, value in values.items())
            display.done(f"{about}  {f'failed: {failure}' if failure else shown}")
    return confirmed(study)


def _members(study: Study, most: int | None) -> list[int]:
    members = front(study)
    if most is not None and most < len(members):
        points = losses([t.values for t in members], study.directions)
        members = [members[i] for i in spread(points, most)]
    return [t.number for t in members]


def _evaluated(
    objective: Objective, trial: FrozenTrial, candidate: Candidate, display: Steps, about: str
) -> tuple[dict[str, float], str]:
    """All that a seed may change, by name, or why the evaluation failed."""
    evaluator = training_of(objective.evaluator)

    def show(epoch: int, scores: Mapping[str, float]) -> None:
        shown = ", ".join(f"{name} {number(value)}" for name, value in scores.items())
        display.running(f"{about}, epoch {epoch + 1}, {shown}")

    try:
        values = {
            metric.name: finite(metric.name, metric.measure(candidate))
            for metric in objective.metrics
            if not metric.exact
        }
        recipe = recipe_of(evaluator, trial, candidate.seed)
        with reporting(evaluator, objective.device, listeners=[show]) as report:
            scores = evaluator.evaluate(candidate, recipe, report)
        return values | dict(promised(evaluator, scores)), ""
    except (CandidateError, TrialPruned) as error:
        return {}, str(error) or "the evaluator ended it"
    except Exception as error:
        reason = fault_of_candidate(error)
        if reason is None:
            raise
        release_memory(error)
        raise InputError(f"{about}: {reason}. What is finished is kept") from error


def confirmed_table(study: Study) -> Table:
    """The confirmed trials: what the search said, mean ± deviation of fresh seeds, the verdict."""
    names = objective_names(study)
    trials = study.get_trials(deepcopy=False)
    before = "search, with inherited weights" if has_inherited(study) else "search"
    table = Table(
        title=escape(f"Confirmed members of the front of {study.study_name}"),
        title_justify="left",
        caption=f"{before} → mean ± standard deviation over the fresh seeds alone",
        caption_justify="left",
    )
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(escape(name), justify="right")
    table.add_column("seeds", justify="right")
    table.add_column("verdict")
    table.add_column("architecture", overflow="fold")
    found = confirmed(study)
    sign = -1 if maximized(study)[0] else 1
    best_first = sorted(
        standing(study),
        key=lambda s: sign * found[s.trial].spreads[0].mean if found[s.trial].n else math.inf,
    )
    for judged in best_first:
        member = found[judged.trial]
        spreads = member.spreads or ("–",) * len(names)
        values = [
            number(was) if member.n and not again else f"{number(was)} → {now}"
            for was, now, again in zip(member.search, spreads, member.again, strict=True)
        ]
        architecture = architecture_name(trials[judged.trial])
        link = "to" if judged.verdict == "falls" else "of"
        verdict = judged.verdict if judged.by is None else f"{judged.verdict} {link} {judged.by}"
        failed = f" of {len(member.tried)}" if member.failures else ""
        table.add_row(
            str(judged.trial), *values, f"{member.n}{failed}", verdict, escape(architecture)
        )
    return table


def standing_line(study: Study) -> str:
    """How many of the confirmed trials stand, in one sentence."""
    found = standing(study)
    count = Counter(judged.verdict for judged in found)
    named = {
        "within noise": count["stands within noise"],
        "falls" if count["falls"] == 1 else "fall": count["falls"],
        "failed": count["failed"],
    }
    parts = [f"{count['stands']} of {len(found)} confirmed networks stand"]
    parts += [f"{number} {verdict}" for verdict, number in named.items() if number]
    repeated = [member for member in confirmed(study).values() if member.n > 1]
    noisy = any(spread.deviation > 0 for member in repeated for spread in member.spreads)
    still = "; every fresh seed gave the same values: nothing here is noisy"
    return ", ".join(parts) + (still if repeated and not noisy else "")
