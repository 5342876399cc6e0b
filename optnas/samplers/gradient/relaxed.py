"""What the training of a relaxed network leaves in its study (part of `gradient`)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optuna.study import Study

from optnas.errors import InputError
from optnas.study.attributes import GRADIENT, RELAXED
from optnas.study.fingerprint import differences, listing
from optnas.utils.text import number, plural


@dataclass(frozen=True)
class Proposal:
    """The discretised architecture of a preference.

    Attributes:
        preference: The weights of what was minimised, in the order of `Relaxed.minimised`.
        params: The parameters that were learned, each at its likeliest value.
        logits: The logits of each decision, by its name and its number of options (`name#5`).
        relaxed_loss: The loss of the relaxed network, on the half that the logits learned from.
        discretised_loss: The same, with the likeliest operation alone at each choice.
        skips: The share of skips among the likeliest operations of the choices that have one; None
            if none has.
    """

    preference: tuple[float, ...]
    params: Mapping[str, Any]
    logits: Mapping[str, tuple[float, ...]]
    relaxed_loss: float
    discretised_loss: float
    skips: float | None

    @property
    def gap(self) -> float:
        """How much of the loss is due to discretising."""
        return self.discretised_loss - self.relaxed_loss

    def facts(self) -> dict[str, Any]:
        """What the trial keeps that trains this architecture."""
        facts = asdict(self)
        return {k: facts[k] for k in ("preference", "relaxed_loss", "discretised_loss", "skips")}


@dataclass(frozen=True)
class Relaxed:
    """What a relaxed network has learned.

    Attributes:
        names: All that decides it.
        minimised: `loss`, and the costs, in the order of preferences.
        proposals: The architecture of each preference; equal ones may be among them.
        epochs: The number of epochs that were trained.
        ended: Why the training ended before its last epoch; empty if it didn't.
        ignored: The objectives that it didn't know of.
    """

    names: Mapping[str, str]
    minimised: tuple[str, ...]
    proposals: tuple[Proposal, ...]
    epochs: int
    ended: str = ""
    ignored: tuple[str, ...] = ()

    def keep(self, study: Study) -> None:
        """Stores it in a study."""
        study.set_user_attr(RELAXED, json.loads(json.dumps(asdict(self))))

    def check(self, names: Mapping[str, str]) -> None:
        """Raises InputError unless it was trained as it would be here."""
        if changes := differences(self.names, names):
            raise InputError(
                "the relaxed network of this study was trained with other settings "
                f"({listing(changes)}): take those settings again, or begin a new study (another "
                "name or database)"
            )


def relaxed_of(study: Study) -> Relaxed | None:
    """What a study keeps of its relaxed network; None before there is one.

    Raises:
        InputError: It can't be read.
    """
    kept = study.user_attrs.get(RELAXED)
    if kept is None:
        return None
    try:
        proposals = tuple(
            Proposal(
                tuple(map(float, one["preference"])),
                dict(one["params"]),
                {key: tuple(map(float, row)) for key, row in one["logits"].items()},
                float(one["relaxed_loss"]),
                float(one["discretised_loss"]),
                None if one["skips"] is None else float(one["skips"]),
            )
            for one in kept["proposals"]
        )
        return Relaxed(
            {str(k): str(v) for k, v in kept["names"].items()},
            tuple(map(str, kept["minimised"])),
            proposals,
            int(kept["epochs"]),
            str(kept["ended"]),
            tuple(map(str, kept["ignored"])),
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"the study's attribute {RELAXED} can't be read ({type(error).__name__}: {error}): "
            "something else wrote there; begin a new study"
        ) from error


def relaxed_text(study: Study) -> str:
    """What became of a study's relaxed network, in a few words; empty if it has none."""
    try:
        relaxed = relaxed_of(study)
    except InputError:  # figures and tables of a study show what there is
        return ""
    if relaxed is None or not relaxed.proposals:
        return ""
    gaps = [p.gap for p in relaxed.proposals if math.isfinite(p.gap)]
    skips = [p.skips for p in relaxed.proposals if p.skips is not None]
    tried = {str(t.params) for t in study.get_trials(deepcopy=False) if GRADIENT in t.user_attrs}
    parts = [f"relaxed network of {plural(relaxed.epochs, 'epoch')}{relaxed.ended and ', '}"]
    parts[0] += relaxed.ended
    if gaps:
        mean = sum(gaps) / len(gaps)
        parts.append(
            f"discretising adds {number(mean)} to its loss ({number(min(gaps))} to "
            f"{number(max(gaps))})"
        )
    if skips:
        parts.append(f"{sum(skips) / len(skips):.0%} of the likeliest operations are skips")
    parts.append(
        f"{plural(len(relaxed.proposals), 'preference')}, of whose architectures {len(tried)} "
        f"{'was' if len(tried) == 1 else 'were'} trained"
    )
    return "; ".join(parts)
