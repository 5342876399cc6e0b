"""The networks of a study on other devices (`optnas measure --front`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from optnas.errors import InputError
from optnas.pareto.elsewhere import DeviceComparison, Moved, compare_device
from optnas.pareto.snapshot import Snapshot
from optnas.plots.elsewhere import elsewhere_figure
from optnas.report.figures import Figure, drawn_figure
from optnas.study.elsewhere import OtherDevice
from optnas.utils.text import number


class DeviceRow(NamedTuple):
    """A network on another device, as the page's scripts read it.

    Attributes:
        trial: The number of the trial that represents it.
        architecture: Its canonical string.
        here: The value of the replaced objective.
        there: The value on the other device, as text; `≈` and `predicted` mark a predicted one.
        ranks: Its rank here and there, as text; empty for a predicted value.
        changed: How the rank changed, in words.
        front_here: Whether it is on the study's front.
        front_there: Whether it is on that of the other device.
        by: The trial that dominates it there.
    """

    trial: int
    architecture: str
    here: float
    there: str
    ranks: tuple[str, str]
    changed: str
    front_here: bool
    front_there: bool
    by: int | None


class DevicePart(NamedTuple):
    """The part of the page about one other device.

    Attributes:
        label: What people call it.
        text: The finding, in two or three sentences.
        here: The name of the replaced objective.
        there: The name of what was measured there.
        how: Device and settings.
        model: How predicted values were found; empty without any.
        rows: The measured networks, the best there first; then predicted ones that no other network
            dominates there.
        failed: Why other networks couldn't be measured, a sentence each.
        figure: Both fronts.
    """

    label: str
    text: str
    here: str
    there: str
    how: dict[str, str]
    model: str
    rows: list[DeviceRow]
    failed: list[str]
    figure: Figure


def device_parts(study: Snapshot, devices: Iterable[OtherDevice]) -> list[DevicePart]:
    """The parts about other devices; those of which the study has no network are left out."""
    compared = [found for one in devices if (found := compare_device(study, one)) is not None]
    known = [found for found in compared if found.measured or found.failed]
    return [_part(study, found, i) for i, found in enumerate(known)]


def _part(study: Snapshot, found: DeviceComparison, position: int) -> DevicePart:
    device = found.device
    key, title = f"elsewhere-{position}", f"Here, and on {device.label}"
    caption = (
        "Left the study's own values, right those of the other device. Full markers are on the "
        "front of all objectives there. The line joins those that are best in the two objectives "
        "on the axes alone."
    )
    try:
        figure = drawn_figure(key, title, caption, elsewhere_figure(study, found))
    except InputError as error:
        figure = Figure(key, title, caption, 0, 0, "", str(error))
    promising = [one for one in found.predicted if one.front_there]
    return DevicePart(
        label=device.label,
        text=found.text(),
        here=device.replaces,
        there=device.metric,
        how=dict(device.how),
        model="" if device.predicted is None else device.predicted.model,
        rows=[_row(one) for one in (*found.measured, *promising)],
        failed=[f"trial {trial}: {reason}" for trial, reason in found.failed.items()],
        figure=figure,
    )


def _row(one: Moved) -> DeviceRow:
    value = number(one.there)
    error = f" ± {one.error:.0%}" if one.error else ""
    return DeviceRow(
        trial=one.trial,
        architecture=one.record.architecture,
        here=one.here,
        there=f"{value}{error}" if one.rank_here else f"≈ {value}, predicted",
        ranks=(str(one.rank_here), str(one.rank_there)) if one.rank_here else ("", ""),
        changed=one.rank_text,
        front_here=one.front_here,
        front_there=one.front_there,
        by=one.by,
    )
