"""Writes a trial's network with trained weights to a file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from optuna.study import Study
from safetensors import SafetensorError

from optnas.errors import InputError
from optnas.evaluators.abilities import data_of
from optnas.export.agreement import BATCH_SIZES, Agreement, agree
from optnas.export.base import Format
from optnas.export.card import Card, model_card
from optnas.export.dynamic import Dynamic, check_dynamic, shorter
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.export.int8_report import Int8Report, int8_report
from optnas.export.onnx_int8 import ONNXInt8
from optnas.export.trained import Weights, check_source, load_weights
from optnas.finished.decode import decode
from optnas.pareto.find_trial import complete_trial
from optnas.search.search import Search
from optnas.study.attributes import ARCHITECTURE
from optnas.utils.inputs import is_one_example
from optnas.utils.network import Network, outputs_of, runner
from optnas.utils.onnx_file import NEEDED
from optnas.utils.signature import left_out, named_inputs, named_outputs
from optnas.utils.text import there_are
from optnas.utils.versions import has_onnx, version_of
from optnas.utils.weights_file import is_plain, ties
from optnas.utils.whole_file import not_written, whole_file


@dataclass(frozen=True)
class Exported:
    """The written files.

    Attributes:
        path: The network's file.
        card: Its model card.
        weights: Which weights are in it.
        agreement: The comparison of its outputs with the network's.
        left_out: Outputs of the network that no file can have, each with its type.
        int8: What is known of a file with 8-bit integers: its scores, measured by running it.
    """

    path: Path
    card: Path
    weights: Weights
    agreement: Agreement
    left_out: tuple[str, ...] = ()
    int8: Int8Report | None = None


def export_model(
    study: Study,
    search: Search,
    trial: int,
    path: str | Path | None = None,
    *,
    format: str | None = None,
    weights: str | None = None,
    batch_size: int | None = None,
    dynamic: Dynamic | None = None,
    force: bool = False,
    accept_changes: bool = False,
) -> Exported:
    """Writes a trial's network with trained weights to a file, with a model card (`PATH.md`).

    The file is first written under another name and loaded again. It gets its name only if its
    outputs equal the network's.

    Args:
        study: The study.
        search: The search that it was run with.
        trial: The number of a COMPLETE trial.
        path: The file; by default `NAME_trialN` in the folder of the study's database.
        format: `onnx`, `onnx-int8` (8-bit weights and activations, in a file `….int8.onnx`), `pt2`
            (`torch.export`) or `safetensors` (only weights); by default what the path ends in, else
            `onnx`.
        weights: `retrained` or `search`; by default the last retraining if there is one, else the
            weights that the search kept.
        batch_size: The only batch size that the file will accept; None for any.
        dynamic: Further dimensions that may vary: their names by number, by the input's name, such
            as `{"input_ids": {1: "seq"}}`. The same name means the same size.
        force: Whether to replace existing files.
        accept_changes: Whether to continue although the code of the search space, or for weights of
            the search the data, differs from the study's.

    Returns:
        The written files, the source of the weights, and how far outputs differ.

    Raises:
        InputError: There is no such trial or no weights, the code has changed since, the network
            can't be written in this format, or the file can't be written.

    Example:
        ```python
        import optnas

        search = optnas.load_search("study.py")
        done = optnas.export_model(search.run(), search, trial=7, path="model.onnx")
        print(done.agreement)
        ```
    """
    chosen = complete_trial(study, trial)
    kind = checked_format(
        path, format=format, weights=weights, batch_size=batch_size, dynamic=dynamic
    )
    target = (
        search.files(study).path(f"_trial{trial}.{suffix_of(kind)}") if path is None else Path(path)
    )
    card = target.with_name(f"{target.name}.md")
    _check_target((target, card), force)
    objective = search.objective()
    varies = dynamic or {}
    check_dynamic(varies, objective.space.example_inputs)
    if isinstance(kind, ONNXInt8):
        kind = kind.calibrated(objective.evaluator, objective.space.example_inputs)
    model = decode(objective, chosen).model
    trained = load_weights(
        study, search, objective, chosen, model, source=weights, accept_changes=accept_changes
    )
    model.eval()
    inputs = objective.space.example_inputs
    if not is_one_example(inputs):  # no larger batch can be made of a graph's lists, say
        batch_size = batch_size or 1
    sizes = BATCH_SIZES if batch_size is None else (batch_size,)
    batch, words = examples(data_of(objective.evaluator), inputs, max(sizes), model)
    facts = {
        "made_by": f"optnas {version_of('optnas')}",
        "study": study.study_name,
        "trial": str(trial),
        "architecture": str(chosen.user_attrs[ARCHITECTURE]),
        "parameters": json.dumps(chosen.params),
        "weights": str(trained),
        "recipe": trained.recipe,
        **trained.moments,
        **({"scores": json.dumps(trained.run.scores)} if trained.run else {}),
    }
    try:
        with whole_file(target) as part, whole_file(card) as text:
            network = Network(model, inputs, batch_size, varies)
            kind.write(network, part, {k: _utf8(v) for k, v in facts.items()})
            try:
                run = kind.load(part, lambda: decode(objective, chosen).model)
                own, rounds = runner(model), kind.rounds
                agreement = agree(own, run, batch, words, sizes, rounds=rounds)
                if varies:
                    cut = shorter(own, varies), shorter(run, varies)
                    agree(*cut, batch, "", sizes, rounds=rounds)
            except Exception as error:
                raise InputError(
                    f"nothing is written: loaded again with {kind.runs_with}, the file isn't the "
                    f"network ({error}): try another `format=`, or give `batch_size=`"
                ) from error
            int8 = None
            if isinstance(kind, ONNXInt8):
                words = kind.calibration.words
                int8 = int8_report(part, network, words, objective, chosen, trained)
            found = Card(
                study=study,
                search=search,
                objective=objective,
                trial=chosen,
                weights=trained,
                file=target.name,
                format=kind,
                batch_size=batch_size,
                dynamic=varies,
                inputs=named_inputs(inputs),
                outputs=named_outputs(outputs := outputs_of(model, batch)),
                left_out=left_out(outputs),
                agreement=agreement,
                int8=int8,
                ties=ties(state) if is_plain(state := model.state_dict()) else {},
            )
            text.write_text(_utf8(model_card(found)), "utf-8")
    except OSError as error:
        raise not_written(target, error) from error
    except SafetensorError as error:
        raise InputError(f"can't write {target}: {error}") from error
    return Exported(target, card, trained, agreement, tuple(found.left_out), int8)


def checked_format(
    path: str | Path | None,
    *,
    format: str | None,
    weights: str | None,
    batch_size: int | None,
    dynamic: Dynamic | None,
) -> Format:
    """The format of a file, after a check of the settings of `export_model` that need no study.

    Raises:
        InputError: A setting is wrong, two don't fit each other, or the format needs packages that
            aren't installed.
    """
    kind = _format(format, path)
    if "onnxruntime" in kind.packages and not has_onnx():
        raise InputError(
            f'{kind.name} {NEEDED}; or export with `format="pt2"` (torch.export) or '
            '`format="safetensors"` (weights alone), which need no extra'
        )
    check_source(weights)
    _check_batch_size(batch_size, kind, dynamic)
    return kind


def suffix_of(kind: Format) -> str:
    """What the names of a format's files end in, without the dot before it."""
    return kind.suffix or kind.name


def _format(name: str | None, path: str | Path | None) -> Format:
    file = "" if path is None else Path(path).name
    ends = [kind for kind in FORMATS.values() if file.endswith(f".{suffix_of(kind)}")]
    if name is None:
        name = max(ends, key=lambda kind: len(suffix_of(kind))).name if ends else "onnx"
    if name not in FORMATS:
        raise InputError(f"unknown format {name!r}; {there_are(name, FORMATS)}")
    kind = FORMATS[name]
    if path is not None and kind not in ends:
        raise InputError(f"{path} must end in .{suffix_of(kind)}: it is written as {name}")
    return kind


def _check_target(paths: tuple[Path, ...], force: bool) -> None:
    folder = paths[0].absolute().parent
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: create it first")
    for path in paths:
        if os.path.lexists(path) and (not force or path.is_dir()):
            raise InputError(
                f"{path} exists already: give another name, or `force=True` to replace it"
            )


def _check_batch_size(batch_size: int | None, kind: Format, dynamic: Dynamic | None) -> None:
    if dynamic and kind is FORMATS["safetensors"]:
        raise InputError("safetensors holds only weights, for any inputs: leave out `dynamic=`")
    if batch_size is None:
        return
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if kind is FORMATS["safetensors"]:
        raise InputError("safetensors holds only weights, for any batch: leave out `batch_size=`")


def _utf8(text: str) -> str:
    """Text that UTF-8 can hold: a name may contain bytes of another encoding."""
    return text.encode("utf-8", "backslashreplace").decode()
