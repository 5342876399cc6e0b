"""What the dashboard has of a study, and the dashboard while it is served."""

import json
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from optuna.trial import Trial, create_trial
from optuna_dashboard import get_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from optnas.dashboard.server import make_dashboard
from optnas.errors import InputError
from optnas.plots import PLOTS
from optnas.study.artifacts import WeightStore
from optnas.study.attributes import ARCHITECTURE


@contextmanager
def served(study):
    """The dashboard's address while it is served."""
    server = make_dashboard(study._storage, Path("tiny_weights"), port=0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dashboard/studies/{study._study_id}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def update(publisher):
    """Brings all up to date; returns in how many steps."""
    return sum(1 for _ in publisher.update())


def attributes(study):
    return study._storage.get_study_system_attrs(study._study_id)


def figures(study):
    return {k: json.loads(v) for k, v in get_plotly_graph_objects(attributes(study)).items()}


def drawable(study):
    """The ids of the figures that there is enough for."""
    found = set()
    for plot in PLOTS:
        with suppress(InputError):
            plot.draw(study)
            found.add(f"optnas-{plot.key}")
    return found


def note(study, trial):
    """The trial's note."""
    return get_note(Trial(study, trial._trial_id))


def files(study, trial):
    """The names of the files that the trial keeps."""
    return {name for i, name in WeightStore("tiny_weights").kept(study) if i == trial._trial_id}


def add(study, values, name="new", **attrs):
    """Adds a COMPLETE trial of an architecture with this name."""
    study.add_trial(create_trial(values=values, user_attrs={ARCHITECTURE: name, **attrs}))
    return study.trials[-1]
