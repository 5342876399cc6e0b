"""The reference of the Python API has every public name."""

import re

from pages import ROOT

import optnas
import optnas.testing  # it isn't imported by a look at optnas alone

PAGES = "\n".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
NAMES = re.findall(r"^::: optnas\.(\S+)$", PAGES, re.M)
ROOMS = {"callbacks", "datasets", "evaluators", "metrics", "plots", "samplers", "search_spaces"}


def test_every_public_name_is_there_once():
    assert len(NAMES) == len(set(NAMES))
    assert set(NAMES) >= set(optnas.__all__) - ROOMS
    overview = (ROOT / "docs" / "api" / "index.md").read_text()
    for public in set(optnas.__all__) - ROOMS:
        assert f"`{public}`" in overview, public


def test_every_figure_and_contract_is_there():
    assert set(NAMES) >= {f"testing.{contract}" for contract in optnas.testing.__all__}
    functions = {n for n in optnas.plots.__all__ if n.endswith(("_data", "_figure"))}
    assert set(NAMES) >= {f"plots.{function}" for function in functions}


def test_every_name_exists_and_has_a_docstring():
    for dotted in NAMES:
        found = optnas
        for part in dotted.split("."):
            found = getattr(found, part)
        assert found.__doc__, dotted
