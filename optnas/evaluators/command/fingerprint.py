"""Hashes of the files that a command names, so that an edited script is another evaluator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from optnas.errors import InputError
from optnas.utils.syntax import file_text

LARGEST = 2**24
"""Bytes of the largest file that is hashed: larger ones are data."""
PYTHON = ("python", "python3")


def check_script(words: Sequence[str], folder: Path) -> None:
    """Raises InputError if the first word is Python and the script after it isn't there."""
    script = next((word for word in words[1:] if word in ("-m", "-c") or word[:1] != "-"), "")
    if words[0] not in PYTHON or not script.endswith(".py") or "{" in script:
        return
    if not (folder / script).is_file():
        raise InputError(
            f"there is no {script} in {folder}: relative paths begin in the working directory of "
            "the run, or in the folder that `cwd` names (cwd=Path(__file__).parent is the study "
            "file's)"
        )


def hashes(words: Sequence[str], folder: Path) -> dict[str, str]:
    """A hash of each file that the words name, by the name; the syntax alone of Python files.

    Args:
        words: Those of the command, with their placeholders.
        folder: Where relative paths begin.
    """
    found = {}
    for name in _names(words):
        path = folder / name
        try:
            if path.is_file() and path.stat().st_size <= LARGEST:
                found[name] = _hash(path)
        except (OSError, ValueError):  # no file can have this name, or it isn't readable
            continue
    return found


def _names(words: Sequence[str]) -> Iterator[str]:
    """What may be files: a module after -m, and words or the values in them."""
    first, *others = words
    if "/" in first and not Path(first).is_absolute():
        yield first
    for before, word in zip(words, others, strict=False):
        if before == "-m" and word.replace(".", "").isidentifier():
            base = word.replace(".", "/")
            yield from (f"{base}.py", f"{base}/__main__.py")
        yield from (word, word.partition("=")[2])


def _hash(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".py":
        with suppress(SyntaxError, ValueError):
            content = file_text(content).encode("utf-8", "backslashreplace")
    return hashlib.sha256(content).hexdigest()[:12]
