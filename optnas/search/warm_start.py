"""The older study that a search's predictor learns from: how it is named, and opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.samplers import BaseSampler
from optuna.study import Study

from optnas.errors import InputError
from optnas.samplers import PredictorSampler
from optnas.samplers.source import Source
from optnas.storage.place import place_of_file
from optnas.storage.urls import DATABASES, Location, database_url, shown_url, without_password
from optnas.study.load import find_studies
from optnas.utils.text import listed, there_are

Given = str | Path | Study
"""A study, or its database: a file or URL, followed by `#NAME` where that holds several studies."""
NONE = "none"
"""The text that stands for no older study."""
_WAYS = "Give another one, or none: `warm_start=none`"


def read_warm_start(given: Given, sampler: str | BaseSampler, root: Path) -> str | Study:
    """What a user gave, with an absolute URL; empty for no older study.

    Raises:
        InputError: It is no study and no database, or the sampler learns from none.
    """
    if isinstance(given, Study):
        read: str | Study = given
    elif isinstance(given, (str, Path)):
        read = "" if str(given) in ("", NONE) else _Named.read(str(given), root).text
    else:
        raise InputError(
            f"warm_start must be a database file, a URL or an Optuna study, got {given!r}"
        )
    if read and sampler != "predictor" and not isinstance(sampler, PredictorSampler):
        kind = sampler if isinstance(sampler, str) else type(sampler).__name__
        raise InputError(
            f"only the predictor learns from an older study, and the sampler is {kind}: give "
            "`sampler=predictor`, or no older study: `warm_start=none`"
        )
    return read


def remembered_warm_start(read: Given) -> str:
    """The text that a study may remember, without a password."""
    if isinstance(read, Study) or not read:
        return NONE
    named = _Named.read(str(read), Path())
    return _Named(without_password(named.url), named.name).text


def open_older(read: Given, own: Location, own_name: str) -> Source | None:
    """Opens the older study, to be read; None if there is none.

    Args:
        read: From `read_warm_start`.
        own: The storage of the study that learns.
        own_name: Its name; it isn't the older one.

    Raises:
        InputError: It can't be opened, it isn't clear which one is meant, or it has no trial to
            learn from.
    """
    if isinstance(read, Study):
        return Source(read)
    if not read:
        return None
    named = _Named.read(str(read), own.root)
    try:
        studies = find_studies(named.url, brief=True)
    except InputError as error:
        raise InputError(
            f"the study to learn from can't be opened: {error}. Put it back, or say where it lies "
            "now, or go on without it: `warm_start=none`"
        ) from error
    if _is_same(Location(named.url, own.root), own):
        studies = [study for study in studies if study.study_name != own_name]
    return Source(_chosen(studies, named, own_name))


def _chosen(studies: Sequence[Study], named: _Named, own_name: str) -> Study:
    names, shown = [study.study_name for study in studies], shown_url(named.url)
    if named.name is None and len(studies) == 1:
        return studies[0]
    if not studies or (named.name == own_name and own_name not in names):
        raise InputError(
            f"{shown} holds the study {own_name!r}, which can't learn from itself: it resumes by "
            f"itself. {_WAYS}"
        )
    if named.name is None:
        raise InputError(
            f"{shown} holds {len(names)} studies to learn from ({listed(names)}): say which one "
            f"with # and its name, such as '{shown}#{names[0]}'"
        )
    if named.name not in names:
        raise InputError(
            f"{shown} holds no study {named.name!r} to learn from; {there_are(named.name, names)}. "
            f"{_WAYS}"
        )
    return studies[names.index(named.name)]


def _is_same(one: Location, other: Location) -> bool:
    """Whether two locations are one storage."""
    if one.file is None or other.file is None:
        return one.url == other.url
    place = place_of_file(one.file)
    return bool(place) and place == place_of_file(other.file)


@dataclass(frozen=True)
class _Named:
    """A study in a storage.

    Attributes:
        url: The storage.
        name: The study's name; None for the only one.
    """

    url: str
    name: str | None

    @classmethod
    def read(cls, text: str, root: Path) -> _Named:
        where, mark, name = text.rpartition("#")
        if not mark or Path(text).suffix in DATABASES:  # that is a file's name
            where, name = text, ""
        url = database_url(where)
        if url is None:
            raise InputError(
                f"`warm_start={text!r}` is no database: give a file that ends in "
                f"{', '.join(DATABASES)}, or a URL, followed by #NAME if it holds several studies"
            )
        return cls(Location(url, root).absolute_url, name or None)

    @property
    def text(self) -> str:
        return self.url if self.name is None else f"{self.url}#{self.name}"
