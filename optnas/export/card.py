"""The model card: a network's architecture, numbers, training and usage, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from optuna.study import Study
from optuna.trial import FrozenTrial
from torch import Tensor

from optnas.evaluators.abilities import data_of
from optnas.export.agreement import Agreement
from optnas.export.base import Format
from optnas.export.int8_report import Int8Report
from optnas.export.rows import about_rows, code_for_rows, preparation_of
from optnas.export.trained import Weights
from optnas.export.usage import Usage
from optnas.objective.objective import Objective
from optnas.pareto.confirmed import confirmed
from optnas.search.bundled import bundled_folder
from optnas.search.search import Search
from optnas.study.attributes import ARCHITECTURE, BASELINE, DETAIL, TRAIN_SECONDS
from optnas.study.describe import facts_text
from optnas.study.objectives import objective_names
from optnas.study.recipe_text import left_batch_size, shown_recipe
from optnas.study.record import record_of
from optnas.study.retrainings import others_tested
from optnas.utils.markdown import block, code, plain, table
from optnas.utils.mean_sd import Spread
from optnas.utils.text import definitions, duration, number
from optnas.utils.versions import versions

PRINTED = 200
"""Longest constants, in characters, that the card shows; the file holds all of them."""


@dataclass(frozen=True)
class Card:
    """The contents of a model card.

    Attributes:
        study: The study.
        search: The search that it was run with.
        objective: The search's objective.
        trial: The trial.
        weights: The weights in the file.
        file: The file's name.
        format: The file's format.
        batch_size: The only batch size that the file accepts; None for any.
        inputs: One batch element, by name.
        outputs: The network's outputs for a batch, by name.
        agreement: The comparison of the file's outputs with the network's.
        ties: See `Usage`.
        dynamic: Names of further dimensions that may vary, by number, by input.
        left_out: Outputs that the file doesn't have, each with its type.
        int8: What is known of a file with 8-bit integers.
    """

    study: Study
    search: Search
    objective: Objective
    trial: FrozenTrial
    weights: Weights
    file: str
    format: Format
    batch_size: int | None
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    agreement: Agreement
    ties: Mapping[str, str]
    left_out: Sequence[str] = ()
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    int8: Int8Report | None = None

    @property
    def task(self) -> str:
        """That of the data (see `optnas.Dataset`); empty if the evaluator has no data."""
        data = data_of(self.objective.evaluator)
        return "" if data is None else data.task


def model_card(card: Card) -> str:
    """The card as Markdown."""
    found = versions(*card.format.packages)
    parts = [
        f"# {code(card.file)}",
        f"The network of trial {card.trial.number} of the study {code(card.study.study_name)}, "
        f"found with optnas. Its weights are {card.weights}.",
        "## Architecture",
        *_architecture(card.trial),
        "## Inputs and outputs",
        *_inputs(card),
        *(["## 8-bit integers", *card.int8.markdown()] if card.int8 else []),
        "## Numbers",
        *_numbers(card),
        "## Training",
        *_training(card),
        "## How to run it",
        *_usage(card),
        "## The file",
        f"Run with {card.format.runs_with}, it computes "
        + ("nearly " if card.format.rounds else "")
        + f"what the trained PyTorch network does: {card.agreement}.",
        f"Written on {datetime.now(UTC):%Y-%m-%d} with "
        + ", ".join(f"{name} {plain(version)}" for name, version in found.items())
        + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _architecture(trial: FrozenTrial) -> list[str]:
    baseline = trial.user_attrs.get(BASELINE)
    parts = [] if baseline is None else [f"A baseline, made by hand: {code(str(baseline))}."]
    parts.append(block(str(trial.user_attrs[ARCHITECTURE])))
    if trial.params:
        rows = [(code(name), code(str(value))) for name, value in trial.params.items()]
        parts.append(table([("parameter", "drawn"), *rows]))
    return parts


def _inputs(card: Card) -> list[str]:
    size = "batch" if card.batch_size is None else str(card.batch_size)
    rows: list[tuple[str, ...]] = [("", "", "type", "shape")]
    for what, tensors in (("input", card.inputs), ("output", card.outputs)):
        for name, tensor in tensors.items():
            first = str(len(tensor)) if tensor.dim() and card.batch_size == 1 else size
            sizes = [first, *map(str, tensor.shape[1:])][: tensor.dim()]
            if what == "input":
                for at, called in card.dynamic.get(name, {}).items():
                    sizes[at] = plain(called)
            shape = " × ".join(sizes) or "one number"
            rows.append((what, code(name), str(tensor.dtype).removeprefix("torch."), shape))
    parts = [table(rows)]
    if card.left_out and card.format.name != "safetensors":
        parts.append(
            "The network returns more than the file does: " + plain(f"{', '.join(card.left_out)}.")
        )
    preparation = preparation_of(card.weights.moments)
    if preparation:
        parts += about_rows(preparation)
    if card.task == "classification":
        parts.append("One output for each class; the largest one is the predicted class.")
    if card.task == "language":
        parts.append(
            "At each position one output for each token, the logits of the next one."
            + " The file has the text of each token as `vocabulary`."
            * ("vocabulary" in card.weights.moments)
        )
    if card.task == "segmentation":
        parts.append(
            "Outputs have the shape (examples, classes, height, width): one for each class and "
            "pixel; the class with the largest one is that of the pixel."
        )
    for key, text in (
        ("x", "Examples must be normalised: (x - mean) / std"),
        ("y", "Outputs are normalised: output · std + mean is in the units of the targets"),
    ):
        if f"{key}_mean" in card.weights.moments:
            mean, std = (card.weights.moments[f"{key}_{name}"] for name in ("mean", "std"))
            values = f", mean {mean} and std {std}" if len(mean + std) <= PRINTED else ""
            parts.append(
                f"{text}{values}. The file has them as `{key}_mean` and `{key}_std`; they come "
                "from the training part."
            )
    return parts


def _numbers(card: Card) -> list[str]:
    attrs = card.trial.user_attrs
    names = objective_names(card.study)
    member = confirmed(card.study).get(card.trial.number)
    fresh = dict(zip(names, member.spreads, strict=False)) if member else {}
    measured = {m.name: m for m in card.objective.metrics}
    rows = [("", "in the search", "fresh seeds", "how")]
    scored = "on the validation part" if card.task else "by the evaluator"
    parts = []
    if card.int8 is not None:
        parts.append(
            "Names that end in `.int8` are of files with 8-bit integers, all others of the network "
            "in float32."
        )
    for name in dict.fromkeys((*names, *card.objective.evaluator.provides, *measured)):
        if isinstance(attrs.get(name), (int, float)):
            how = _how(card, name) if name in measured else scored
            rows.append((code(name), number(attrs[name]), _spread(fresh.get(name)), how))
    parts.append(table(rows))
    meaning = definitions({name for name in measured if name in attrs})
    if meaning:
        parts.append(plain(f"{meaning}."))
    run, retraining = card.weights.run, card.weights.retraining
    if not card.weights.hashed:
        parts.append(
            "An older version of optnas wrote the file of these weights. It kept no hash, so it "
            "isn't known whether the file was changed since."
        )
    if run is None or retraining is None:
        origin = plain(card.weights.origin)
        parts.append(f"The weights and the scores of the search: {origin}.")
        return [*parts, "These weights have not been scored on the test part."]
    spreads = retraining.spreads()
    tested = [
        (code(n), number(run.scores[n]), _spread(spreads[n])) for n in run.scores if n in spreads
    ]
    parts.append("On the test part, which the search never used, scored once after the training:")
    parts.append(table([("", "these weights", "all seeds"), *tested]))
    others = others_tested(card.study, card.trial.number, retraining.settings)
    return [*parts, plain(f"Warning: {others}.")] if others else parts


def _how(card: Card, name: str) -> str:
    """How a metric was measured, as the study stores it."""
    details = card.trial.user_attrs.get(f"{DETAIL}{name}")
    facts = dict(details) if isinstance(details, dict) and "passes" in details else {}
    prefix = f"{name} "
    for key, value in record_of(card.study).fingerprint.items():
        if key.startswith(prefix):
            facts.setdefault(key.removeprefix(prefix), value)
    return plain(facts_text(facts)) or "counted"


def _training(card: Card) -> list[str]:
    weights, data = card.weights, data_of(card.objective.evaluator)
    run, retraining = weights.run, weights.retraining
    rows = [("", ""), ("recipe", code(shown_recipe(weights.recipe)))]
    if size := left_batch_size(weights.recipe, "" if data is None else data.fingerprint):
        rows.append(("batch size", size))
    if run is None or retraining is None:
        if data is not None:
            rows.append(("data", code(data.fingerprint)))
        seconds = card.trial.user_attrs.get(TRAIN_SECONDS)
        if isinstance(seconds, float):
            rows.append(("time", duration(seconds)))
        return [table(rows)]
    rows += [
        (key, code(value)) for key, value in run.evaluator.items() if key != "recipe" and value
    ]
    rows += [
        ("seeds", f"{len(retraining.runs)}; these weights are from number {run.number}"),
        ("device", plain(run.device)),
        ("time", duration(run.train_seconds)),
        ("finished", plain(run.finished)),
        ("versions", plain(", ".join(f"{k} {v}" for k, v in run.versions.items()))),
    ]
    return [table(rows)]


def _usage(card: Card) -> list[str]:
    study_file = card.search.file
    load = "search = ...  # the Search that the study was run with"
    if study_file is not None:
        bundled = study_file.parent == bundled_folder()
        load = f"search = optnas.load_search({(study_file.stem if bundled else study_file.name)!r})"
    baseline = card.trial.user_attrs.get(BASELINE)
    make = (
        f"trial = optuna.trial.FixedTrial({card.trial.params!r})\n"
        "model = search.space.build(search.space.suggest(trial))"
        if baseline is None
        else f"model = search.baselines[{baseline!r}]()"
    )
    use = Usage(
        card.file,
        card.inputs,
        isinstance(card.objective.space.example_inputs, Mapping),
        len(card.outputs),
        card.batch_size or 2,
        card.task,
        card.weights.moments,
        f"{load}\n{make}",
        card.ties,
    )
    parts = [block(card.format.usage(use), "python")]
    if card.format.name == "safetensors":
        parts.insert(
            0,
            "The file holds only weights: the network's code comes from the study's search space.",
        )
    if preparation_of(card.weights.moments):
        parts.insert(0, "This function prepares rows; the code below calls it.")
        parts.insert(1, code_for_rows())
    return parts


def _spread(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread} (n = {spread.n})"
