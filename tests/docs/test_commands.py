"""Commands and options that pages name are those of the command line."""

import re
import shlex

import pytest
from cli_reference import COMMANDS, FILE, commands, reference, summary
from pages import PAGES, ROOT, commands_in, name, prose

from optnas.samplers import SAMPLERS

THERE = commands()
README = (ROOT / "README.md").read_text()
OF_OTHERS = {
    "--headless",
    "--print-to-pdf",
    "--seeds",
    "--samplers",
    "--told",
    "--first",
    "--objectives",
    "--digits",
    "--latency",
    "--device",
    "--strict",
    "--amp",
    "--compile",
    "--budget",
    "--exports",
    "--logdir",
    "--backend-store-uri",
    "--install-completion",
}
"""Options of what isn't optnas (benchmarks, zensical, a script, nanoGPT, TensorBoard, MLflow), and
the one that is added while the command line runs."""


def options(command):
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o[:2] == "--"}


ALL_OPTIONS = {o for c in (COMMANDS, *THERE.values()) for o in options(c)} | {"--help"}


def split(words):
    """The command that some words begin with, and the words after it."""
    length = 2 if " ".join(words[:2]) in THERE else 1
    return " ".join(words[:length]), words[length:]


def test_the_reference_is_that_of_the_help():
    assert FILE.read_text() == reference(), "run python tests/docs/cli_reference.py"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_blocks_can_be_parsed(page):
    for line in commands_in(page):
        command, arguments = split(shlex.split(line)[1:])
        assert command in THERE, line
        THERE[command].make_context(command, arguments)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_in_prose_are_there(page):
    if page.name in ("CHANGELOG.md", "cli.md"):  # the one is history, the other is checked whole
        return
    for code in re.findall(r"`([^`\n]+)`", prose(page)):
        words = code.split()
        if words[0] == "optnas" and len(words) > 1 and words[1].isalpha() and words[1].islower():
            assert split(words[1:])[0] in THERE, code
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code):
            assert option in ALL_OPTIONS | OF_OTHERS, code


def test_readme_lists_the_commands_of_the_help():
    table = dict(re.findall(r"^\| `optnas ([a-z ]+?)(?: [A-Z]+)+` \| (.*?) \|$", README, re.M))
    assert table == {name: summary(command) for name, command in THERE.items()}


def test_help_and_the_page_of_samplers_name_all_samplers():
    (sampler,) = [p for p in COMMANDS.commands["run"].params if p.name == "sampler"]
    assert sampler.help.split(": ")[1].rstrip(".").split(", ") == list(SAMPLERS)
    page = (ROOT / "docs" / "samplers.md").read_text()
    for sampler in SAMPLERS:
        assert f"`{sampler}`" in page, sampler


def test_studies_are_in_the_gallery():
    gallery = (ROOT / "docs" / "examples.md").read_text()
    for study in (ROOT / "studies").glob("*.py"):
        assert f"`studies/{study.name}`" in gallery, study.name
        assert f"`{study.stem}`" in README, study.name
