"""Whether code has changed."""

import linecache

import pytest

from optnas.utils.code_hash import code_hash


def compiled(code, text):
    """A function whose file holds another text by now."""
    namespace = {}
    exec(compile(code, "edited.py", "exec"), namespace)
    linecache.cache["edited.py"] = len(text), None, text.splitlines(keepends=True), "edited.py"
    return namespace["f"]


@pytest.mark.parametrize("text", ["", "def f(\n", "def f(): '''", "def f(): '", "prose, it's\n"])
def test_a_file_that_is_not_the_codes_any_more_leaves_the_code_itself(text):
    one, other = "def f():\n    return 1\n", "def f():\n    return 2\n"
    try:
        hashes = [code_hash(compiled(code, text)) for code in (one, one, other)]
    finally:
        del linecache.cache["edited.py"]
    assert hashes[0] == hashes[1] != hashes[2]
