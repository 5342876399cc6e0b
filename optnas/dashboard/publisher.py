"""What Optuna's dashboard shows of a study beside its own: figures, notes and artifacts.

All of it is kept in the study, and in the folder of its weights, so that any Optuna dashboard shows
it. Whoever shows the study brings it up to date; whoever runs trials has nothing to do with it.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
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
from optnas.errors import InputError
from optnas.export import export_model
from optnas.finished.decode import decode
from optnas.pareto.front import front
from optnas.pareto.hypervolume import in_order_of_completion
from optnas.plots import PLOTS
from optnas.search.search import Search
from optnas.storage.faults import storage_fault
from optnas.study.artifacts import DRAWING, ONNX, WEIGHTS, WeightStore

GRAPH = "optnas-"
"""How the ids of our figures begin."""
PAUSE = 10.0
"""Seconds between two looks at whether trials have finished."""
JOURNAL_PAUSE = 600.0
"""The same for a journal, which keeps what is written over for ever: 0.2 to 1.4 MB."""
MEMBERS = 100
"""There are notes and files on so many members of the front, the newest: for each trial of a study
Optuna's dashboard looks through all that is kept of all."""
HEIGHT = 450
"""Pixels that the dashboard has for a figure."""
_CPU = torch.device("cpu")
_NOTE = re.compile(r"dashboard:(\d+):note_ver")

log = logging.getLogger("optnas")


class Publisher:
    """Keeps what the dashboard shows of a study up to date.

    Args:
        study: From a storage that can be written to.
        folder: Where its weights are, and the other files go.
        search: What the study was run with, for drawings and ONNX files; None makes none.

    Attributes:
        pause: Seconds to wait between two updates.
    """

    def __init__(self, study: Study, folder: Path, search: Search | None = None) -> None:
        journal = isinstance(study._storage, JournalStorage)
        self.pause = JOURNAL_PAUSE if journal else PAUSE
        self._study = study
        self._store = WeightStore(folder)
        self._search = search
        self._exports = all(map(find_spec, ("onnx", "onnxscript", "onnxruntime")))
        self._finished = -1
        self._members: list[FrozenTrial] = []
        self._figures: dict[str, str] = {}
        self._notes: dict[int, str] = {}
        self._refused: set[tuple[int, str]] = set()
        self._said: set[str] = set()

    def update(self) -> Iterator[None]:
        """Brings all up to date, a step at each `next`; it may be left off after any.

        Nothing is drawn again unless a trial has finished since. Errors of the storage and of the
        disk are the caller's; the next update makes up for what they kept from being written.
        """
        until = time.monotonic() + self.pause
        finished = self._count()
        if finished != self._finished:
            yield from self._update_figures()
            members = front(self._study)
            ids = {t._trial_id for t in members}
            self._members = in_order_of_completion(members)[::-1][:MEMBERS]
            yield from self._update_notes(ids)
            self._store.keep_only(self._study, ids, (DRAWING, ONNX))
            self._finished = finished
        for _ in self._add_files():
            yield
            if time.monotonic() > until and self._count() != finished:  # the figures are old
                return

    def _count(self) -> int:
        return sum(t.state.is_finished() for t in self._study.get_trials(deepcopy=False))

    def _update_figures(self) -> Iterator[None]:
        for plot in PLOTS:
            try:
                with Sharing(_CPU):
                    figure = _fitted(plot.draw(self._study))
            except InputError:  # there is too little to draw, as yet
                continue
            except Exception as error:
                self._excuse(f"there is no figure {plot.title!r}", error)
                continue
            found = figure.to_json()
            if self._figures.get(plot.key) != found:
                save_plotly_graph_object(self._study, figure, graph_object_id=GRAPH + plot.key)
                self._figures[plot.key] = found
            yield

    def _update_notes(self, members: set[int]) -> Iterator[None]:
        """Writes notes on members, and on those that were; what a person has edited stays."""
        notes = Notes(self._study)
        attributes = self._study._storage.get_study_system_attrs(self._study._study_id)
        versions = {int(m[1]): v for k, v in attributes.items() if (m := _NOTE.fullmatch(k))}
        left = [t for t in notes.trials if t._trial_id in versions.keys() - members]
        for trial in [*self._members, *left]:
            text = notes.of(trial)
            if self._notes.get(trial._trial_id) == text:
                continue
            live = Trial(self._study, trial._trial_id)
            old = get_note(live)
            # One that is empty at first was never finished; at last, somebody has emptied it.
            ours = is_untouched(old) or (not old and versions.get(trial._trial_id, 0) < 2)
            if ours and old != text:
                save_note(live, text)
            self._notes[trial._trial_id] = text
            yield

    def _add_files(self) -> Iterator[None]:
        """Adds what is missing of the members' drawings, and then of their ONNX files."""
        if self._search is None:
            return
        kept = self._store.kept(self._study)
        trained = [t for t in self._members if (t._trial_id, WEIGHTS) in kept and self._exports]
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
        """Goes on without something, unless the storage or the disk is at fault.

        Each reason is told once: many trials may have the same.
        """
        if isinstance(error, OSError) or storage_fault(error):
            raise error
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        if reason not in self._said:
            self._said.add(reason)
            log.warning("%s: %s", what, reason)


def _fitted(figure: go.Figure) -> go.Figure:
    """A figure as high as the dashboard's place for it, with less text where that is tight."""
    if (figure.layout.height or 0) > 1.5 * HEIGHT:
        figure.for_each_yaxis(lambda y: y.title.update(text=(y.title.text or "").split("<br>(")[0]))
    return figure.update_layout(height=None)
