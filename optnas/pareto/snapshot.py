"""A study, read once: what tables, figures, the report and notes share.

Each of them needs the front, the architectures, or what fresh seeds found. A `Snapshot` computes
each of these once, when it is first asked for, and all from the same trials: in a study that is
running, a table and a figure that share a snapshot agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optnas.pareto.architectures import (
    ArchitectureRecord,
    architecture_records,
    with_each_member,
    with_each_recipe,
)
from optnas.pareto.confirmed import Standing, standing
from optnas.pareto.dominance import losses
from optnas.pareto.front import feasible_trials, front
from optnas.pareto.hypervolume import volume_text
from optnas.pareto.noise import within_noise
from optnas.pareto.reference_limits import reference_limits
from optnas.pareto.study_hypervolume import hypervolume, hypervolume_meaning, is_settled
from optnas.study.objectives import maximized, objective_names


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The trials of a study as they are now, and what follows from them.

    Attributes:
        study: The study.
        trials: All its trials, by number.
        names: The names of its objectives.
        directions: Their directions.
        maximized: Whether each is maximised.

    Example:
        ```python
        from optnas.pareto.snapshot import Snapshot

        seen = Snapshot.of(study)
        for record in seen.architectures:
            print(record.number, record.architecture, record.place, record.values)
        ```
    """

    study: Study
    trials: list[FrozenTrial]
    names: list[str]
    directions: list[StudyDirection]
    maximized: list[bool]

    @classmethod
    def of(cls, study: Study | Snapshot) -> Snapshot:
        """A snapshot of a study; a snapshot is returned as it is."""
        if isinstance(study, Snapshot):
            return study
        return cls(
            study=study,
            trials=study.get_trials(deepcopy=False),
            names=objective_names(study),
            directions=study.directions,
            maximized=maximized(study),
        )

    @cached_property
    def complete(self) -> list[FrozenTrial]:
        """The COMPLETE trials, by number."""
        return [trial for trial in self.trials if trial.state == TrialState.COMPLETE]

    @cached_property
    def feasible(self) -> list[FrozenTrial]:
        """The COMPLETE trials without a broken constraint, by number."""
        return feasible_trials(self.study, self.complete)

    @cached_property
    def front(self) -> list[FrozenTrial]:
        """The trials on the Pareto front, by number (see `optnas.pareto.front.front`)."""
        return front(self.study, self.feasible)

    @cached_property
    def within_noise(self) -> dict[int, int]:
        """The members of the front that are there by noise (see `optnas.pareto.noise`)."""
        return within_noise(self.front, self.names, self.directions)

    @cached_property
    def beyond_reference(self) -> dict[int, list[str]]:
        """The members of the front that are worse than the study's reference, and in what.

        They are of no use, but nothing dominates them: the front shows them until better ones are
        found (see `optnas.pareto.reference_limits`).
        """
        limits = reference_limits(self.study, self.trials)
        points = losses([trial.values for trial in self.front], self.directions)
        return {
            trial.number: [
                name for name, beyond in zip(self.names, row > limits, strict=True) if beyond
            ]
            for trial, row in zip(self.front, points, strict=True)
            if (row > limits).any()
        }

    @cached_property
    def within_reference(self) -> list[FrozenTrial]:
        """The feasible trials that are worse than the study's reference in nothing, by number."""
        limits = reference_limits(self.study, self.trials)
        points = losses([trial.values for trial in self.feasible], self.directions)
        pairs = zip(self.feasible, points, strict=True)
        return [trial for trial, row in pairs if not (row > limits).any()]

    @cached_property
    def architectures(self) -> list[ArchitectureRecord]:
        """The architectures of the COMPLETE trials, by the number of their first trial."""
        return architecture_records(self.complete, self.feasible, self.front, self.directions)

    @cached_property
    def each_recipe(self) -> list[ArchitectureRecord]:
        """The feasible architectures with each of their recipes, by the number of the trial."""
        return with_each_recipe(self.architectures, self.feasible, self.front, self.directions)

    @cached_property
    def shown(self) -> list[ArchitectureRecord]:
        """What tables and figures show: each architecture, and each further trial on the front."""
        return with_each_member(self.architectures, self.each_recipe)

    @property
    def baselines(self) -> list[ArchitectureRecord]:
        """The hand-made networks among the architectures."""
        return [record for record in self.architectures if record.baseline is not None]

    @cached_property
    def hypervolume(self) -> float | None:
        """The hypervolume of the front (see `optnas.hypervolume`)."""
        return hypervolume(self.study, self.feasible)

    @cached_property
    def hypervolume_meaning(self) -> str:
        """What the hypervolume is measured in, or why there is none."""
        return hypervolume_meaning(self.study, self.feasible)

    def hypervolume_text(self) -> str:
        """The hypervolume and what it is measured in, or why there is none.

        Empty until there are enough trials for the box: with few it is close to 1, whatever they
        are.
        """
        if self.hypervolume is None:
            return self.hypervolume_meaning
        if not is_settled(self.feasible):
            return ""
        return f"{volume_text(self.hypervolume)} ({self.hypervolume_meaning})"

    @cached_property
    def standing(self) -> dict[int, Standing]:
        """What fresh seeds found of the trials that were evaluated again, by number."""
        return {found.trial: found for found in standing(self.study)}

    def standing_of(self, record: ArchitectureRecord) -> Standing | None:
        """What fresh seeds found of a record's trial, else of one that no other record shows."""
        numbers = (record.number, *(n for n in record.others if n not in self._shown_numbers))
        return next((self.standing[n] for n in numbers if n in self.standing), None)

    @cached_property
    def _shown_numbers(self) -> set[int]:
        return {record.number for record in self.shown}
