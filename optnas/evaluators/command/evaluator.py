"""A training script as an evaluator, as it is."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.devices.device import resolve_device
from optnas.errors import InputError
from optnas.evaluators.abilities import Configurable, Retrainable
from optnas.evaluators.base import Evaluator
from optnas.evaluators.command.fingerprint import check_script, hashes
from optnas.evaluators.command.patterns import NumberPattern, checked_scores, final_scores
from optnas.evaluators.command.run import FILES, run
from optnas.evaluators.command.template import CommandTemplate
from optnas.evaluators.command.weights import WeightsFile
from optnas.evaluators.epoch_report import Report
from optnas.study.objectives import Direction
from optnas.utils.code_hash import code_hash

Epoch = Literal["last", "best"]
RESERVED = ("folder", "seed", "device", "trial")
"""Placeholders that don't come from the trial's parameters."""


@dataclass(frozen=True)
class CommandRecipe:
    """What a command is filled with: what `suggest` drew, and the parameters of the trial."""

    drawn: object
    trial: BaseTrial

    def __str__(self) -> str:
        return str(self.drawn)

    def values(self) -> dict[str, object]:
        """The values by name: the trial's parameters, and those that `suggest` returned."""
        drawn = self.drawn if isinstance(self.drawn, Mapping) else {}
        return {**self.trial.params, **drawn}


class CommandEvaluator(Evaluator, Configurable, Retrainable):
    r"""Trains by a command, such as a script that isn't touched, and reads what it prints.

    The command runs without a shell. `{name}` in it stands for a parameter of the trial, whatever
    its name is (`{block1.op}`), or for a value of the dictionary that `suggest` returns. Four names
    are always there:

    - `{folder}`: a folder of the trial's own, for checkpoints and weights. If the trial's process
      dies, its retry gets the same folder with what the script has left there; it is removed when
      the trial ends.
    - `{seed}`: the trial's seed, from 0 to 2^32 - 1.
    - `{device}`: such as `cpu` or `cuda:0`.
    - `{trial}`: the trial's number.

    An argument that is one placeholder alone is left out where the value is an empty text: `{amp}`
    with the choices `["", "--amp"]` is a flag that is there or not.

    The program `python` is the interpreter that runs the study, and the command runs as if that
    interpreter's virtual environment were activated. Standard output and error are read together as
    they come. Each match of a score's pattern is that score of an epoch, and is reported, so a
    training can be stopped early: the command is ended then, with all processes that it has
    started. The same happens when the trial takes too long (`trial_timeout`), and when the run is
    interrupted or killed. While a latency is measured on the same device, the command is paused.

    The last 5 lines of a command that fails are in the reason of the trial. While it runs, its
    output is in `NAME_checkpoints/trialN/output.log`; of a long one, the first MiB is there, and
    the last one or two in `output_tail.log` and `output_tail_before.log`.

    Example:
        ```python
        import optnas

        evaluator = optnas.CommandEvaluator(
            "python train.py --n_layer={n_layer} --out={folder}",
            {"val_loss": ("minimize", r"val loss (\S+)")},
            weights="{folder}/model.pt",
            cwd="my_project",
        )
        ```

    Args:
        command: The program and its arguments, with placeholders; `{{` and `}}` are braces.
        scores: By name, the direction and a regular expression with one group, which begins where
            the number begins.
        suggest: Draws further values from the trial; those of a dictionary are placeholders, too.
            It sees the parameters of the architecture in `trial.params`.
        weights: The file in which the command keeps the weights of the scores, such as
            `"{folder}/model.pt"`; or the file and the key of the weights in it, such as
            `("{folder}/ckpt.pt", "model")`. They are read without running code, and must be those
            of the network that the search space builds. Without it no weights are kept.
        step: A regular expression with one group for the number of the epoch or step, which the
            command prints before its scores or in their line. Without it epochs are counted from 0.
        epoch: `last` or `best`: which epoch's scores count. The best one has the best first score.
        cwd: The working directory of the command, and where relative paths begin; by default the
            one in which the evaluator is made.
        retrain: A `CommandEvaluator` for the final training of a chosen network (`optnas retrain`):
            its command trains on all but the test part, and its scores, whose names begin with
            `test_`, are those on that part. It must have `weights`. Its placeholders have the
            values that the search's have, unless it has a `suggest` of its own.
        device: `auto` (the first that is available of CUDA, MPS and the CPU), or a name; it is the
            value of `{device}`.

    Raises:
        InputError: The command, a pattern or another setting can't be used; there is no such
            script.
    """

    def __init__(
        self,
        command: str,
        scores: Mapping[str, tuple[Direction, str]],
        *,
        suggest: Callable[[Any], object] | None = None,
        weights: str | tuple[str, str] | None = None,
        step: str | None = None,
        epoch: Epoch = "last",
        cwd: str | Path | None = None,
        retrain: CommandEvaluator | None = None,
        device: str = "auto",
    ) -> None:
        if not hasattr(os, "killpg"):
            raise InputError("a command needs process groups, which this system doesn't have")
        if epoch not in get_args(Epoch):
            raise InputError(f"epoch must be last or best, got {epoch!r}")
        if suggest is not None and not callable(suggest):
            raise InputError(f"suggest must be a function of a trial, got {suggest!r}")
        if retrain is not None and not isinstance(retrain, CommandEvaluator):
            raise InputError(f"retrain must be a CommandEvaluator, got {retrain!r}")
        if retrain is not None and not retrain.gives_weights:
            raise InputError("retrain needs `weights=`: what is retrained is kept")
        self._retrain = retrain
        self._command = CommandTemplate(command)
        self._provides, self._patterns = checked_scores(scores)
        self._suggest = suggest
        self._weights = None if weights is None else WeightsFile(weights)
        self._step = None if step is None else NumberPattern("step", step, whole=True)
        self._epoch = epoch
        self._cwd = Path(cwd or "").absolute()
        if not self._cwd.is_dir():
            raise InputError(f"cwd {str(cwd)!r} is no folder")
        self.device: str = device
        words = [word.text if word else "" for word in self._command.words]
        check_script(words, self._cwd)
        self._files = hashes(words, self._cwd)
        self._code = code_hash(suggest) if suggest else "none"

    def __repr__(self) -> str:
        return f"CommandEvaluator({self._command.text!r}, {self._provides})"

    @property
    def provides(self) -> Mapping[str, Direction]:
        """The scores, each with its direction."""
        return self._provides

    @property
    def gives_weights(self) -> bool:
        """Whether `weights` was given."""
        return self._weights is not None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The command, patterns, which epoch counts, and hashes of the files in the command.

        The files that a script imports or reads by itself aren't included.
        """
        patterns = {name: pattern.text for name, pattern in self._patterns.items()}
        return {
            "command": self._command.text,
            "scores": ", ".join(f"{n} ({self._provides[n]}) {p}" for n, p in patterns.items()),
            "step": "counted" if self._step is None else self._step.text,
            "epoch": self._epoch,
            "recipe code": self._code,
            **{f"file {name}": digest for name, digest in self._files.items()},
        }

    def configured(
        self, *, device: str | None = None, epochs: int | None = None
    ) -> CommandEvaluator:
        """A copy with another device.

        Raises:
            InputError: `epochs` was given: the command decides on them.
        """
        if epochs is not None:
            raise InputError(
                f"epochs={epochs}: a command decides on its epochs itself; change them in the "
                "command in the study file"
            )
        evaluator = copy(self)
        if device is not None:
            evaluator.device = device
        return evaluator

    def retraining(self, epochs: int | None = None) -> CommandEvaluator:
        """The evaluator that was given as `retrain`, on this one's device.

        Raises:
            InputError: There is none, or `epochs` was given: the command decides on them.
        """
        if self._retrain is None:
            raise InputError(
                "this CommandEvaluator has no retraining: its script alone knows its data. Give it "
                'retrain=CommandEvaluator("python train.py …", {"test_loss": …}, weights=…), a '
                "command that trains on all but the test part and prints the scores there"
            )
        found = self._retrain.configured(device=self.device, epochs=epochs)
        if found._suggest is None:
            found._suggest, found._code = self._suggest, self._code
        return found

    def suggest(self, trial: BaseTrial) -> CommandRecipe:
        """What the given function draws, and the trial's parameters."""
        return CommandRecipe("" if self._suggest is None else self._suggest(trial), trial)

    def evaluate(
        self, candidate: Candidate, recipe: CommandRecipe, report: Report
    ) -> dict[str, float]:
        """Runs the command; the network gets the weights that it has written.

        Raises:
            CandidateError: The command ran out of memory, or printed no finite score.
            CommandError: It failed, printed nothing that matches, or wrote no weights.
            InputError: It can't be started, a placeholder has no value, or the weights can't be
                used.
        """
        model = candidate.model if self._weights is not None else None
        with _working_folder(report.folder) as folder:
            files = folder / FILES
            try:
                files.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"can't write to {folder}: {error.strerror}") from error
            values = self._values(candidate, recipe, files)
            run(
                self._command.filled(values),
                self._cwd,
                folder,
                self._patterns,
                self._step,
                report,
            )
            scores = final_scores(report.curve, self._provides, self._epoch)
            diverged = not all(map(math.isfinite, scores.values()))  # and may have kept no weights
            if self._weights is not None and model is not None and not diverged:
                report.weights(self._weights.read(values, model))
        return scores

    def _values(
        self, candidate: Candidate, recipe: CommandRecipe, files: Path
    ) -> dict[str, object]:
        values = recipe.values()
        taken = [name for name in RESERVED if name in values]
        if taken:
            raise InputError(
                f"a parameter or a value of `suggest` is called {taken[0]!r}, which is a "
                "placeholder of its own: give it another name"
            )
        return values | {
            "folder": files,
            "seed": candidate.seed,
            "device": resolve_device(self.device),
            "trial": recipe.trial.number,
        }


@contextmanager
def _working_folder(folder: Path | None) -> Iterator[Path]:
    """The folder of the trial, or a temporary one."""
    if folder is not None:
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="optnas-") as made:
        yield Path(made)
