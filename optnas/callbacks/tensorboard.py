"""Writes a study as event files for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optnas.callbacks.facts import CURVES, FrontFacts, Points, TrialFacts
from optnas.callbacks.tracker import Tracker
from optnas.study.folders import file_name
from optnas.utils import markdown
from optnas.utils.text import number as shown

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

ENDED = "ended.txt"
"""The file in a trial's folder that says how the trial has ended."""


class TensorBoard(Tracker):
    """Writes a study for TensorBoard: a folder for the study, and in it one for each trial.

    `tensorboard --logdir runs` shows scores by epoch (`curve/val_loss`), costs and scores, and
    under HParams a table and a figure of all trials with their parameters. The study's own folder
    has the front as a table and as a picture, and the hypervolume.

    Needs the extra `tensorboard`.

    Example:
        ```python
        import optnas

        data = optnas.diabetes()
        search = optnas.Search(
            space=optnas.MLPSpace(data.input_shape, data.outputs),
            evaluator=optnas.TrainingEvaluator(data, epochs=2),
            objectives=("val_loss", "params"),
            trials=3,
            listeners=[optnas.callbacks.TensorBoard("runs")],
        )
        ```

    Args:
        logdir: The folder; made with the first file.
        weights: `link` names, in the folder of each member of the front, the file of its weights.

    Raises:
        InputError: The package is missing, or `weights` is unknown.
    """

    def __init__(self, logdir: str | Path = "runs", *, weights: str = "") -> None:
        super().__init__("tensorboard", "tensorboard", weights, ("link",))
        self._logdir = Path(logdir).absolute()
        self._writers: dict[int, SummaryWriter] = {}
        self._of_study: SummaryWriter | None = None

    def __repr__(self) -> str:
        return f"TensorBoard({str(self._logdir)!r})"

    def connect(self, study: str, id: str, *, joined: bool) -> None:
        """The study's folder has its name and a tag, such as `digits_cnn-1a2b3c4d5e6f`."""
        self._folder = self._logdir / f"{file_name(study)}-{id}"
        self._folder.mkdir(parents=True, exist_ok=True)

    def recorded(self) -> set[int]:
        """Those whose folder says how they have ended."""
        names = (path.parent.name.removeprefix("trial") for path in self._folder.glob(f"*/{ENDED}"))
        return {int(name) for name in names if name.isdecimal()}

    def begin(self, trial: TrialFacts) -> set[int]:
        """Makes the folder. What a killed process wrote there is replaced."""
        folder = self._of(trial.number)
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink()
        self._writers[trial.number] = _writer(folder)
        return set()

    def write_points(self, number: int, points: Points) -> None:
        """Adds scalars."""
        writer = self._writers[number]
        for step, scores in points:
            for name, value in scores.items():
                writer.add_scalar(f"{CURVES}{name}", value, step)
        writer.flush()

    def end(self, trial: TrialFacts) -> None:
        """Adds values, texts and parameters."""
        from torch.utils.tensorboard.summary import hparams

        writer = self._writers.pop(trial.number)
        for name, value in trial.values.items():
            writer.add_scalar(name, value, 0)
        for name, text in trial.texts.items():
            writer.add_text(name, markdown.plain(text))
        params = {name: _plain(value) for name, value in trial.params.items()}
        state = "state of the trial" if "state" in params else "state"
        # Without the experiment's own summary TensorBoard joins the parameters of all trials, which
        # differ where some are conditional.
        _, begins, ends = hparams({**params, state: trial.state}, {})
        files: Any = writer.file_writer
        files.add_summary(begins)
        files.add_summary(ends)
        writer.close()
        (self._of(trial.number) / ENDED).write_text(
            ": ".join(filter(None, [trial.state, trial.texts.get("reason", "")])) + "\n",
            encoding="utf-8",
            errors="replace",
        )

    def write_front(self, front: FrontFacts) -> None:
        """Adds the table, the picture and the hypervolume."""
        writer = self._of_study = self._of_study or _writer(self._folder)
        for name, value in front.values.items():
            writer.add_scalar(name, value, front.finished)
        columns = front.columns
        rows = [[_cell(row[column]) for column in columns] for row in front.rows]
        table = markdown.table([[*map(markdown.plain, columns)], *rows])
        writer.add_text("front", table, front.finished)
        if front.data is not None:
            from optnas.callbacks.picture import front_picture

            writer.add_image("front", front_picture(front.data), front.finished, dataformats="HWC")
        writer.flush()

    def write_weights(self, number: int, file: Path, original: Path) -> None:
        """Adds the path of the original as a text."""
        with _writer(self._of(number)) as writer:
            writer.add_text("weights", markdown.code(str(original)))

    def disconnect(self, state: str) -> None:
        """Closes the files."""
        for writer in (*self._writers.values(), self._of_study):
            if writer is not None:
                writer.close()
        self._writers, self._of_study = {}, None

    def _of(self, number: int) -> Path:
        return self._folder / f"trial{number:05}"


def _writer(folder: Path) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return shown(value)
    return markdown.plain(str(value))
