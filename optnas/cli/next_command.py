"""The parts of a command that another one names as the next."""

from __future__ import annotations

import shlex


def export_command() -> str:
    """`export`; without the extra onnx, which its default format needs, with another format."""
    from optnas.utils.versions import has_onnx

    return "export" if has_onnx() else "export --format pt2"


def same_study(study: str, storage: str | None, name: str | None, file: str | None = None) -> str:
    """What was given to name the study, for another command line; a password isn't shown."""
    from optnas.storage.urls import shown_url

    words = [shown_url(study) if "://" in study else study]
    words += [] if storage is None else ["--storage", shown_url(storage)]
    words += [] if name is None else ["--name", name]
    words += [] if file is None else ["--file", file]
    return shlex.join(words)
