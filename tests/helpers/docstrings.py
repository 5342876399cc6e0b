"""The examples in docstrings, so that a room's tests can run them."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

BLOCK = re.compile(r"```python\n(.*?)```", re.S)


def examples(package):
    """Every Python block of a package's docstrings, each with the place where it stands."""
    for path in sorted(Path(package.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                for block in BLOCK.findall(inspect.cleandoc(ast.get_docstring(node) or "")):
                    yield f"{path.stem}.{getattr(node, 'name', '')}", textwrap.dedent(block)
