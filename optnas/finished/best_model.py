"""A network of the front, with its trained weights."""

from __future__ import annotations

from optuna.study import Study
from torch import nn

from optnas.errors import InputError
from optnas.finished.decode import rebuild
from optnas.finished.scored_again import origin_of_weights
from optnas.objective.objective import Objective
from optnas.pareto.find_trial import best_in
from optnas.pareto.front import front, why_no_front
from optnas.search.search import Search
from optnas.study.objectives import objective_names
from optnas.utils.text import there_are


def best_model(
    study: Study, search: Search | Objective, *, by: str | None = None, trial: int | None = None
) -> nn.Module:
    """A network of the front with the weights that the search kept.

    A warning is logged if they aren't those that the scores were computed with.

    Args:
        study: The study.
        search: The search that the study was run with; or the objective, made with `weights`.
        by: The objective in which the network is the best; by default the first one.
        trial: The number of a trial of the front; if given, `by` is ignored.

    Returns:
        The network, on the CPU and in evaluation mode.

    Raises:
        InputError: The front is empty, there is no such objective or trial, no weights are kept for
            it, or the code has changed since.

    Example:
        ```python
        import optnas

        search = optnas.load_search("study.py")
        model = optnas.best_model(search.run(), search, by="val_accuracy")
        ```
    """
    members = front(study)
    names = objective_names(study)
    if not members:
        raise InputError(why_no_front(study))
    if trial is not None:
        chosen = next((t for t in members if t.number == trial), None)
        if chosen is None:
            numbers = ", ".join(str(t.number) for t in members)
            raise InputError(f"trial {trial} is not on the front; these are: {numbers}")
    else:
        by = by or names[0]
        if by not in names:
            raise InputError(f"unknown objective {by!r}; {there_are(by, names)}")
        chosen = best_in(study, members, names.index(by))
    objective = search if isinstance(search, Objective) else search.objective()
    model = rebuild(study, objective, chosen)
    origin_of_weights(objective, chosen, model)
    return model
