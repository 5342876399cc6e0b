"""The packages for OptunaHub: the form that its registry asks for, and that they work."""

import re
import sys
from pathlib import Path

import optuna
import pytest
import yaml

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "studies" / "optunahub"
PACKAGES = sorted(path.parent for path in REGISTRY.glob("*/*/__init__.py"))
TAGS = {"samplers": "sampler"}
SECTIONS = ["Abstract", "Class or Function Names", "Installation", "Example"]


def front_matter(package):
    """The header of a package's README, and what follows."""
    _, header, text = (package / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header), text


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_a_package_has_the_form_of_the_registry(package):
    header, text = front_matter(package)
    for name in ("author", "title", "description"):
        assert isinstance(header[name], str)
    assert TAGS[package.parent.name] in header["tags"]
    assert all(isinstance(tag, str) for tag in header["tags"])
    assert header["optuna_versions"]
    assert all(isinstance(version, str) for version in header["optuna_versions"])
    assert header["license"] == "MIT License"
    assert re.findall("^## (.*)$", text, re.M)[:4] == SECTIONS
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (package / "requirements.txt").read_text() == "optnas\n"
    (shown,) = re.findall("```python\n(.*?)```", text, re.S)
    assert (package / "example.py").read_text().endswith(shown)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_example_runs(package, monkeypatch, capsys):
    optunahub = pytest.importorskip("optunahub")
    name = f"{package.parent.name}/{package.name}"

    def load_module(package):
        return optunahub.load_local_module(package, registry_root=str(REGISTRY))

    monkeypatch.setattr(optunahub, "load_module", load_module)
    program = (package / "example.py").read_text().replace("n_trials=50", "n_trials=10")
    assert f'"{name}"' in program
    found = {}
    exec(compile(program, str(package / "example.py"), "exec"), found)
    assert len(found["study"].trials) == 10
    assert isinstance(found["sampler"], optuna.samplers.BaseSampler)
    (only,) = found["module"].__all__
    del sys.modules[found["module"].__name__]
    assert f"- {only}\n" in front_matter(package)[1]
