"""Writes the diffs into docs/your-code.md from the scripts: python tests/docs/your_code.py."""

import re
import sys
from difflib import unified_diff
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "your-code.md"
SCRIPTS = ROOT / "studies" / "your_code"
PEERS = ROOT / "benchmarks" / "your_code_peers"
NAMES = sorted(path.parent.name for path in SCRIPTS.glob("*/train.py"))
BLOCK = re.compile(r"(<!-- (?:diff|file) (\w+) -->\n).*?^```\n", re.M | re.S)


def lines(name, file):
    """The lines of a script."""
    return (SCRIPTS / name / file).read_text().splitlines(keepends=True)


def untouched(name):
    """Whether the script is run as it is: then its study is a file next to it."""
    return "CommandEvaluator" in "".join(lines(name, "study.py"))


def changed(name):
    """How many lines of a script change: those added, and the new forms of those replaced.

    Blank lines, and lines that only go, don't count.
    """
    if untouched(name):
        return 0
    return _added(lines(name, "train.py"), lines(name, "study.py"))


def changed_for(peer):
    """How many lines of the U-Net's script change for another package, by the same rule."""
    with_peer = (PEERS / f"with_{peer}.py").read_text().splitlines(keepends=True)
    docstring = 1
    return _added(lines("unet", "train.py")[docstring:], with_peer[docstring:])


def _added(old, new):
    return sum(
        line.startswith("+") and not line.startswith("+++") and bool(line[1:].strip())
        for line in unified_diff(old, new)
    )


def block(name):
    """The block of a script on the page: the diff, or the study file of one that is untouched."""
    if untouched(name):
        return f"<!-- no-test -->\n```python\n{''.join(lines(name, 'study.py'))}```\n"
    found = list(unified_diff(lines(name, "train.py"), lines(name, "study.py"), n=1))[2:]
    parts = ["@@\n" if line.startswith("@@") else line for line in found]
    return f"```diff\n{''.join(parts)}```\n"


def written(page):
    """The page with the blocks of now."""
    return BLOCK.sub(lambda found: found[1] + block(found[2]), page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
    sys.stdout.write(f"{PAGE}\n")
