"""URLs of storages: their kind, their file, and how they are shown."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy
from sqlalchemy.engine import URL, make_url

from optnas.errors import InputError

Kind = Literal["sqlite", "journal", "postgresql", "grpc"]
KINDS: tuple[Kind, ...] = ("sqlite", "journal", "postgresql", "grpc")
DATABASES = (".db", ".sqlite", ".sqlite3", ".journal")
"""How the names of databases end."""


def kind_of(url: str) -> Kind:
    """Which kind of storage a URL names.

    Raises:
        InputError: It is no URL, or names none that optnas works with.
    """
    return parse_url(url)[0]


def storage_path(url: str) -> Path | None:
    """The file behind a URL, of SQLite or a journal; None for a server's.

    Raises:
        InputError: It is no URL, or names no file.
    """
    kind, parsed = parse_url(url)
    if kind not in ("sqlite", "journal"):
        return None
    if not parsed.database or parsed.database == ":memory:" or "\0" in parsed.database:
        raise InputError(
            f"storage {url!r} names no file: give {kind}:///study.db, with three slashes before a "
            "relative path"
        )
    if parsed.host or parsed.query:
        raise InputError(
            f"storage {shown_url(url)!r} has more in it than a file: give "
            f"{kind}:///{parsed.database}, without a host or settings"
        )
    return Path(parsed.database)


def shown_url(url: str) -> str:
    """A URL as it may be shown: without a password."""
    try:
        return make_url(url).set(query={}).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return re.sub("//.*@", "//***@", url, flags=re.DOTALL)


def without_password(url: str) -> str:
    """A URL without the password that is in it."""
    parsed = make_url(url)
    if parsed.password is None:
        return url
    parts = parsed.username, None, parsed.host, parsed.port, parsed.database, parsed.query
    return URL.create(parsed.drivername, *parts).render_as_string()


def parse_url(url: str) -> tuple[Kind, URL]:
    """The kind of a storage, given as `database_url` takes it, and the parts of its URL.

    Raises:
        InputError: As `kind_of`.
    """
    shown = shown_url(url)
    try:
        parsed = make_url(database_url(url) or url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise InputError(
            f"storage {shown!r} is no URL, nor a file that ends in {', '.join(DATABASES)}: give "
            "study.db or sqlite:///study.db (three slashes before a relative path, four before an "
            "absolute one)"
        ) from error
    for kind in KINDS:
        if parsed.get_backend_name() == kind:
            return kind, parsed
    raise InputError(
        f"storage {shown!r} is of a kind that optnas isn't tested with; these are: "
        f"{', '.join(KINDS)}"
    )


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file, whatever characters its path has."""
    return _file_url("sqlite", path)


def database_url(given: str | Path) -> str | None:
    """The URL of what a user gives as a storage: the URL itself, or that of a database file.

    A database file is known by the ending of its name, so that one that is to be made is known,
    too. None for anything else: a study file, or a name.
    """
    if "://" in str(given):
        return str(given)
    path = Path(given)
    if path.suffix not in DATABASES:
        return None
    return _file_url("journal" if path.suffix == ".journal" else "sqlite", path)


def _file_url(kind: Kind, path: Path) -> str:
    return sqlalchemy.URL.create(kind, database=str(path)).render_as_string()


@dataclass(frozen=True)
class Location:
    """Where a storage lies, whatever the working directory becomes: the user's code may change it.

    Attributes:
        url: Its URL as the user gave it; empty for a storage object.
        root: The working directory when it was given, as an absolute path.
    """

    url: str
    root: Path

    @classmethod
    def here(cls, url: str) -> Location:
        """The location of a URL that was given just now."""
        return cls(url, Path.cwd())

    @property
    def file(self) -> Path | None:
        """The absolute path of its file; None for a server's and for a storage object."""
        path = storage_path(self.url) if self.url else None
        return None if path is None else self.root / path

    @property
    def folder(self) -> Path:
        """The folder of its file; for a server's the working directory at the start."""
        return self.root if self.file is None else self.file.parent

    def shown(self, path: Path) -> str:
        """A path as it may be shown: from the working directory at the start."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    @property
    def current_url(self) -> str:
        """Its URL, as it was given while the working directory is still the same."""
        with suppress(OSError):  # the directory may be gone
            if Path.cwd() == self.root:
                return self.url
        return self.absolute_url

    @property
    def absolute_url(self) -> str:
        """Its URL, with an absolute path of the file."""
        if self.file is None:
            return self.url
        return _file_url(kind_of(self.url), self.file)
