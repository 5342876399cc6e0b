"""A search: what a study file defines."""

from __future__ import annotations

from optuna.study import Study

from optnas.clusters.base import Cluster
from optnas.search.dry_run import DryRun, dry_run
from optnas.search.open import open_study, remembered_overrides
from optnas.search.run import run_search
from optnas.search.settings import Settings
from optnas.search.summary import search_html
from optnas.study.folders import StudyFiles, files_of
from optnas.study.record import Overrides


class Search(Settings):
    """Everything that a study needs: what to try, how to score it, and for how long.

    Attributes:
        space: The search space.
        evaluator: Trains and scores an architecture. A function, `fn(model, recipe, report)`,
            becomes a `FunctionEvaluator` whose scores are the objectives that are no metrics.
        objectives: Names among the evaluator's scores and the metrics. Each has its own direction,
            which may be given too (`{"val_loss": "minimize", "flops": "minimize"}`), and must be
            for a function.
        constraints: Bounds by name. A candidate that breaks a bound known before training isn't
            trained.
        target: A microcontroller, whose memory bounds the search too: an `optnas.Target`, or the
            name of a board, such as `stm32f746` (see docs/targets.md). Of two bounds on one name,
            the tighter holds.
        metrics: Metrics in addition to the standard ones, or in their place (docs/measurements.md).
        baselines: Networks to compare with, by name: a function that makes one, an architecture of
            the space, or a trial's parameters. They are the first trials. Samplers learn from those
            that are in the space, and start in their neighbourhood.
        sampler: `predictor`, `evolution`, `local_search`, `reinforce`, `qlearning`,
            `gradient`; Optuna's `random`, `tpe`, `nsgaii`, `nsgaiii`, `gp`; or any Optuna sampler.
        trials: Trials to reach in total: COMPLETE ones, and those that were stopped early.
        hours: Time for one run; None sets no limit.
        until_flat: The run ends once the study is flat: the last trials that count, this many,
            added less than 1 % to the hypervolume of the front. With one objective, they improved
            the best value by less than 1 % of its range: from the best value before them to the
            median of all, or to the reference if that is nearer. A study isn't flat before more
            trials than these count, with 10 feasible COMPLETE ones, and a network lies within the
            reference. Queued and running trials are finished first. 0 sets no limit.
        seed: Seeds the sampler, the weights and the shuffling. Without one, the study draws a seed
            and keeps it.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`, for training and latency.
        threads: CPU threads that PyTorch may use while the study runs. A small network gains
            little from a second one, and next to another busy process it loses far more, because
            waiting threads spin. More threads pay for large networks on an otherwise idle CPU.
        epochs: Training epochs, in place of the evaluator's.
        early_stop: Whether to stop trainings that can't reach the front any more (see
            `EarlyStopping`). A study may be resumed with another choice.
        reference: What is worse than this in an objective gains nothing: limits by objective, such
            as `{"val_loss": 0.3, "latency_ms": 1}`, or the name of a baseline. By default the worst
            values of the baselines (see `Objective`). A study may be resumed with another one.
        warm_start: An older study of the same or a similar space, which any sampler made: the
            predictor learns from its trials, too, as from another task (see `PredictorSampler`). A
            database file or URL, followed by `#NAME` where that holds several studies; or a study.
        trial_timeout: Seconds after which a trial fails; None sets no limit.
        max_failures: The run ends after this number of failures in a row for one reason, unless
            networks like theirs were known to fail for it.
        name: Name of the study; the study file's by default.
        storage: A database file (`study.db`; `study.journal` for network file systems), the URL of
            a storage (`sqlite:///study.db`) or an Optuna storage. By default an SQLite file
            `NAME.db`, next to the study file if there is one, else in the working directory.
        weights: Whether to keep the trained weights of the front's members, in `NAME_weights` (see
            `files`).
        settings: Settings of space, evaluator and recipe as text by name, such as
            `{"space.depth": "1,4", "recipe.learning_rate": "0.01"}`: they replace the arguments
            that the parts were made with. The command line's `--set` fills them in.
        listeners: Trackers that the study is written to (`optnas.callbacks`), and functions that
            are called with trial, step and scores after every epoch. A study may be resumed with
            others.
        file: The study file, filled in when it is loaded.
        folder: Where the default storage lies: the working directory, or the study file's.
        root: The working directory when the search was made, in which relative paths begin.

    Raises:
        ValueError: A setting is unknown or out of range.
        TypeError: A part is of the wrong kind.
    """

    def run(
        self,
        *,
        workers: int = 1,
        progress: bool = True,
        accept_changes: bool = False,
        on: str | Cluster | None = None,
    ) -> Study:
        """Opens the study, or makes it, and runs trials until it has `trials` that count.

        The settings are those of this search. The study also remembers what earlier runs on the
        command line overrode: see `remembered`.

        The first Ctrl-C finishes the running trials, the second gives them up; both raise.

        Args:
            workers: Processes that run trials. One is this process. Several import the study file,
                so they need one (`load_search("study.py").run(workers=4)`).
            progress: Whether to show a progress bar (plain lines where there is no terminal).
            accept_changes: Whether to resume a study that was made with other settings.
            on: Where to start the workers, if not on this machine: `"ray"`, `"slurm"`, or a
                `RayCluster` or `SlurmCluster` with its settings (docs/workers.md).

        Returns:
            The study.

        Raises:
            InputError: The study can't be opened or resumed, or no architecture is feasible.
            KeyboardInterrupt: It was interrupted.
        """
        return run_search(
            self, workers=workers, progress=progress, accept_changes=accept_changes, on=on
        )

    def dry_run(self, *, workers: int = 1, seed: int = 0) -> DryRun:
        """What a run would do: nothing is written, and no study is made.

        20 random networks are counted. The one of median macs is measured, and trained for an epoch
        or for 4 seconds, to check data and recipe and to estimate the time. Your own training
        function or command isn't started.

        Example:
            ```python
            import optnas

            found = optnas.load_search("digits_cnn").dry_run()
            print(found)  # size of the space, costs, time, and what would be refused
            ```

        Args:
            workers: The processes that the run would have; the time is divided by those that have
                CPU cores of their own.
            seed: Seeds the draws.

        Returns:
            What was found. `refused` has what a run would end with.
        """
        return dry_run(self, workers=workers, seed=seed)

    def open(self, *, overrides: Overrides | None = None, accept_changes: bool = False) -> Study:
        """Opens the study, or makes it, with its sampler; stores what the study must remember.

        Args:
            overrides: The settings of this search that the study shall remember as overridden.
            accept_changes: Whether to open a study that was made with other settings.

        Raises:
            InputError: The storage can't be opened, or holds another study of this name.
        """
        return open_study(
            self, self.objective(), overrides=overrides, accept_changes=accept_changes
        )

    def _repr_html_(self) -> str:
        """The settings, the size of the space, and how far the study is, in a notebook."""
        return search_html(self)

    def files(self, study: Study) -> StudyFiles:
        """The files of a study that was run with this search.

        Their names begin with the study's, or, where those could be another study's, with its name
        and a tag.
        """
        return files_of(study, self.location)

    def remembered(self) -> Overrides:
        """The settings that earlier runs of this study overrode."""
        return remembered_overrides(self)
