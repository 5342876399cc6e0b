"""Members of the front are evaluated again, with fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.study import Study

from optnas.devices.device import cpu_threads
from optnas.errors import InputError
from optnas.evaluators.abilities import training_of
from optnas.finished.alike import say_if_alike
from optnas.finished.decode import accepted_changes, decode, fresh_candidate, recipe_of
from optnas.finished.evaluate import evaluate_again
from optnas.pareto.confirmed import Confirmed, confirmed, keep_repeat
from optnas.pareto.dominance import losses
from optnas.pareto.find_trial import complete_trial
from optnas.pareto.front import front, why_no_front
from optnas.pareto.hypervolume import spread
from optnas.search.search import Search
from optnas.utils.progress_bar import Steps
from optnas.utils.terminal import Terminal
from optnas.utils.text import named_numbers


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
    """Evaluates members of the front again, with their recipes and fresh seeds.

    A front prefers lucky values: fresh seeds show how good its members are without luck. Networks
    that the search scored with shared weights are trained here.

    Measured again is everything that a seed can change: the evaluator's scores, and the metrics
    that aren't exact, such as a latency. Each result is kept in the study at once (as the attribute
    `confirmed:TRIAL`), and is never computed again. All members get their first seed before any
    member gets a second one, so that an interruption leaves them with about as many.

    Args:
        study: The study.
        search: The search that it was run with.
        trials: Numbers of COMPLETE trials; by default the front.
        most: Number of members to take from a larger front: those that keep most of its
            hypervolume.
        seeds: Number of fresh evaluations for each trial, earlier ones included.
        progress: Whether to show progress.
        accept_changes: Whether to continue although settings differ from the study's.

    Returns:
        All confirmed trials of the study by number (`optnas.pareto.confirmed.standing` compares
        them).

    Raises:
        InputError: There is no such trial or no front, the settings differ, or memory ran out.

    Example:
        ```python
        import optnas

        search = optnas.load_search("study.py")
        found = optnas.confirm(search.run(), search, seeds=3)
        ```
    """
    if seeds < 1:
        raise InputError(f"seeds must be at least 1, got {seeds}")
    if most is not None and (most < 1 or trials is not None):
        raise InputError(
            f"most must be at least 1, got {most}"
            if trials is None
            else "give either trials or most, not both"
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
    evaluator = training_of(objective.evaluator)
    scores = evaluator.provides
    varying = [metric for metric in objective.metrics if not metric.exact]
    there = confirmed(study)
    missing = [
        (k, trial)
        for k in range(seeds)
        for trial in chosen
        if trial.number not in there or k not in there[trial.number].tried
    ]
    console = Terminal(stderr=True, quiet=not progress)
    with cpu_threads(search.threads), Steps(len(missing), "evaluations", console) as display:
        for k, trial in missing:
            about = f"trial {trial.number}, fresh seed {k}"
            display.running(about)
            candidate = fresh_candidate(objective, study, trial, "confirm", k)
            values, failure = evaluate_again(
                evaluator,
                candidate,
                recipe_of(evaluator, trial, candidate.seed),
                objective.device,
                about=about,
                advice="Finished evaluations are kept: free some memory, and repeat the command",
                display=display,
                metrics=varying,
            )
            alike = not changes and evaluator is objective.evaluator
            keep_repeat(study, trial.number, k, values, failure, changes, alike)
            outcome = f"failed: {failure}" if failure else named_numbers(values)
            display.done(f"{about}  {outcome}")
    found = confirmed(study)
    say_if_alike(
        evaluator,
        {
            trial.number: [
                {n: v for n, v in zip(objective.objectives, values, strict=True) if n in scores}
                for values in found[trial.number].repeats
            ]
            for trial in chosen
        },
    )
    return found


def _members(study: Study, most: int | None) -> list[int]:
    members = [*front(study)]
    if most is not None and most < len(members):
        points = losses([t.values for t in members], study.directions)
        members = [members[i] for i in spread(points, most)]
    return [t.number for t in members]
