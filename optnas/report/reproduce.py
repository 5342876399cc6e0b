"""How to run the study again: files, commands, versions, overrides."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from optuna.study import Study

from optnas.storage.urls import shown_url
from optnas.study.attributes import SEED
from optnas.study.recipe_text import shown_settings
from optnas.study.record import record_of
from optnas.utils.versions import versions


class Command(NamedTuple):
    """A line for a shell, and what it does."""

    does: str
    line: str


class Reproducing(NamedTuple):
    """The means to run the study again.

    Attributes:
        facts: Study file, storage and name, by label.
        commands: For the shell.
        overrides: What was set in addition to the study file, by option.
        accepted: Changes of settings that were accepted on the way.
        fingerprint: Everything that must be the same for numbers to be comparable.
        versions: Of what made this page, and of what made the study where that is known.
    """

    facts: dict[str, str]
    commands: list[Command]
    overrides: dict[str, str]
    accepted: list[str]
    fingerprint: dict[str, str]
    versions: dict[str, str]


def reproducing(study: Study, url: str) -> Reproducing:
    """The settings that a study keeps of its own run.

    Args:
        study: The study.
        url: Its storage; empty for a storage object. Passwords aren't shown.
    """
    record = record_of(study)
    file = record.file
    shown = shown_url(url) if url else ""
    overrides = record.overrides.as_options()
    facts = {
        "Study": study.study_name,
        "Storage": shown,
        "Study file": file,
        "Seed": str(study.user_attrs.get(SEED, "")),
        "Made with optnas": record.version,
    }
    return Reproducing(
        facts={label: text for label, text in facts.items() if text},
        commands=_commands(study, shown, file, overrides),
        overrides=overrides,
        accepted=list(record.accepted),
        fingerprint=shown_settings(record.fingerprint),
        versions=versions("optuna"),
    )


def _commands(study: Study, url: str, file: str, overrides: dict[str, str]) -> list[Command]:
    found = []
    if file:
        seed = study.user_attrs.get(SEED)
        options = [] if seed is None or "--seed" in overrides else ["--seed", str(seed)]
        options += [word for pair in overrides.items() for word in pair if word]
        line = ["optnas", "run", file, "--name", "again", "--storage", "sqlite:///again.db"]
        found.append(Command("Run it once more, from the start", shlex.join([*line, *options])))
    if url:
        line = [url, "--name", study.study_name]
        if file:
            found.append(Command("Resume this study", shlex.join(["optnas", "resume", *line])))
        line += ["--file", file] if file else []  # for drawings
        found.append(Command("Make this page again", shlex.join(["optnas", "report", *line])))
        found.append(
            Command("Look at it in Optuna's dashboard", shlex.join(["optnas", "dashboard", *line]))
        )
    return found
