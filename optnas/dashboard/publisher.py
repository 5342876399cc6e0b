"""Adds figures, notes and artifacts to what Optuna's dashboard shows of a study.

All of it is kept in the study, and in the folder of its weights, so that any Optuna dashboard shows
it. The dashboard updates these; workers never do.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import plotly.graph_objects as go
import torch
from optuna.storages import JournalStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial
from optuna_dashboard import get_note, save_note, save_plotly_graph_object

from optnas.dashboard.notes import Notes, is_untouched
from optnas.devices.sharing import Sharing
from optnas.drawings import drawing, drawing_svg
from optnas.errors import InputError, StorageGoneError
from optnas.export import export_model
from optnas.finished.decode import decode
from optnas.pareto.snapshot import Snapshot
from optnas.plots import PLOTS
from optnas.search.search import Search
from optnas.storage.faults import storage_fault
from optnas.study.artifacts import DRAWING, ONNX, TORCH_WEIGHTS, WEIGHTS, WeightStore
from optnas.study.attributes import SEED
from optnas.study.record import RECORD
from optnas.study.trial_order import in_order_of_completion
from optnas.utils.versions import has_onnx

GRAPH = "optnas-"
"""The prefix of the ids of optnas's figures."""
PAUSE = 10.0
"""Seconds between two checks whether trials have finished."""
JOURNAL_PAUSE = 600.0
"""The same for a journal, which keeps overwritten figures for ever: 0.2 to 1.4 MB each time."""
MEMBERS = 100
"""The newest members of the front, up to this number, have notes and files: for each trial that it
shows, Optuna's dashboard reads those of all trials."""
HEIGHT = 450
"""The height of a figure in the dashboard, in pixels."""
_CPU = torch.device("cpu")
_NOTE = re.compile(r"dashboard:(\d+):note_ver")

log = logging.getLogger("optnas")


class Publisher:
    """Updates the figures, notes and artifacts of a study.

    Args:
        study: From a storage that can be written to.
        folder: The folder of its weights, and of the files that are added.
        search: The search of the study, for drawings and ONNX files; None makes none.

    Attributes:
        pause: Seconds to wait between two updates.
    """

    def __init__(self, study: Study, folder: Path, search: Search | None = None) -> None:
        journal = isinstance(study._storage, JournalStorage)
        self.pause = JOURNAL_PAUSE if journal else PAUSE
        self._study = study
        self._store = WeightStore(folder)
        self._search = search
        self._exports = has_onnx()
        self._finished = -1
        self._members: list[FrozenTrial] = []
        self._figures: dict[str, str] = {}
        self._notes: dict[int, str] = {}
        self._refused: set[tuple[int, str]] = set()
        self._warned: set[str] = set()
        self._checked: set[int] = set()
        self._opened = self._identity()

    def is_current(self) -> bool:
        """Whether the study is still the one that was opened.

        A run may have begun it anew, or somebody has deleted it. SQLite gives a new study the
        numbers of the old one and of its trials, under which Optuna's storage remembers the old
        ones: what is shown of a new study must come from a storage that was opened since.
        """
        try:
            return self._identity() == self._opened
        except (KeyError, StorageGoneError):
            return False

    def _identity(self) -> tuple[object, ...]:
        attributes = self._study.user_attrs
        return attributes.get(RECORD), attributes.get(SEED)

    def update(self) -> Iterator[None]:
        """Updates everything, one step at each `next`; the caller may stop after any step.

        Figures are drawn again only if a trial has finished since. Errors of the storage and of the
        disk are raised; the next update writes what they prevented.
        """
        until = time.monotonic() + self.pause
        finished = self._count()
        if finished != self._finished:
            seen = Snapshot.of(self._study)
            yield from self._update_figures(seen)
            ids = {t._trial_id for t in seen.front}
            self._members = in_order_of_completion(seen.front)[::-1][:MEMBERS]
            yield from self._update_notes(seen, ids)
            self._store.keep_only(self._study, ids, (DRAWING, ONNX))
            self._finished = finished
        for _ in self._add_files():
            yield
            if time.monotonic() > until and self._count() != finished:  # the figures are old
                return

    def _count(self) -> int:
        return sum(t.state.is_finished() for t in self._study.get_trials(deepcopy=False))

    def _update_figures(self, seen: Snapshot) -> Iterator[None]:
        for plot in PLOTS:
            try:
                with Sharing(_CPU):
                    figure = _fitted(plot.draw(seen))
            except InputError:  # there are too few trials yet
                continue
            except Exception as error:
                self._excuse(f"there is no figure {plot.title!r}", error)
                continue
            found = figure.to_json()
            if self._figures.get(plot.key) != found:
                save_plotly_graph_object(self._study, figure, graph_object_id=GRAPH + plot.key)
                self._figures[plot.key] = found
            yield

    def _update_notes(self, seen: Snapshot, members: set[int]) -> Iterator[None]:
        """Writes notes on present and former members; notes that a user has edited stay."""
        notes = Notes(seen)
        attributes = self._study._storage.get_study_system_attrs(self._study._study_id)
        versions = {
            int(m[1]): v
            for k, v in attributes.items()
            if (m := _NOTE.fullmatch(k)) and isinstance(v, int)
        }
        left = [t for t in notes.trials if t._trial_id in versions.keys() - members]
        for trial in [*self._members, *left]:
            text = notes.of(trial)
            if self._notes.get(trial._trial_id) == text:
                continue
            live = Trial(self._study, trial._trial_id)
            try:
                old = get_note(live)
            except (ValueError, TypeError, KeyError) as error:  # other code wrote it
                self._excuse(f"the note of trial {trial.number} is damaged", error)
                continue
            # An empty first version was never finished; a later one was emptied by a user.
            ours = is_untouched(old) or (not old and versions.get(trial._trial_id, 0) < 2)
            if ours and old != text:
                save_note(live, text)
            self._notes[trial._trial_id] = text
            yield

    def _add_files(self) -> Iterator[None]:
        """Checks the members' weights, adds missing drawings, and then missing ONNX files."""
        kept = self._store.kept(self._study)
        weights = {i for i, name in kept if name in (WEIGHTS, TORCH_WEIGHTS)}
        members = [t for t in self._members if t._trial_id in weights]
        yield from self._check_weights(members)
        if self._search is None:
            return
        trained = members if self._exports else []
        makers = ((DRAWING, self._draw, self._members), (ONNX, self._export, trained))
        for name, make, trials in makers:
            for trial in trials:
                key = trial._trial_id, name
                if key in kept or key in self._refused:
                    continue
                try:
                    with Sharing(_CPU):
                        self._store.add(self._study, *key, partial(make, trial))
                except Exception as error:
                    self._excuse(f"trial {trial.number} has no {name}", error)
                    self._refused.add(key)
                yield

    def _check_weights(self, trials: Sequence[FrozenTrial]) -> Iterator[None]:
        """Warns of files of weights that were changed since the search wrote them, each once."""
        for trial in trials:
            if trial._trial_id in self._checked:
                continue
            try:
                self._store.check(self._study, trial._trial_id)
            except InputError as error:
                self._excuse(f"trial {trial.number}", error)
                self._refused.add((trial._trial_id, ONNX))
            self._checked.add(trial._trial_id)
            yield

    def _draw(self, trial: FrozenTrial, path: Path) -> None:
        assert self._search is not None
        candidate = decode(self._search.objective(), trial)
        name = f"trial {trial.number}: {candidate}"
        drawn = drawing(candidate.model, candidate.example_inputs, name)
        path.write_text(drawing_svg(drawn), "utf-8", "backslashreplace")

    def _export(self, trial: FrozenTrial, path: Path) -> None:
        assert self._search is not None
        with TemporaryDirectory() as folder:
            made = Path(folder, ONNX)
            export_model(self._study, self._search, trial.number, made, weights="search")
            shutil.move(made, path)

    def _excuse(self, what: str, error: Exception) -> None:
        """Warns of a missing part and continues, unless the storage or the disk is at fault.

        It warns once for each reason, because many trials may share one.
        """
        if isinstance(error, OSError) or storage_fault(error):
            raise error
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        if reason not in self._warned:
            self._warned.add(reason)
            log.warning("%s: %s", what, reason)


def _fitted(figure: go.Figure) -> go.Figure:
    """A figure with the height that the dashboard has for it, and less text where room is short."""
    if (figure.layout.height or 0) > 1.5 * HEIGHT:
        figure.for_each_yaxis(lambda y: y.title.update(text=(y.title.text or "").split("<br>(")[0]))
    return figure.update_layout(height=None)
