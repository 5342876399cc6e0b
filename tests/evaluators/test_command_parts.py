"""The parts of a command evaluator that start no process."""

import math
import shlex

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from optnas.errors import CommandError, InputError
from optnas.evaluators.command import output
from optnas.evaluators.command.fingerprint import hashes
from optnas.evaluators.command.output import BoundedLog, Lines
from optnas.evaluators.command.patterns import Epochs, NumberPattern, final_scores
from optnas.evaluators.command.template import CommandTemplate
from optnas.evaluators.command.weights import WeightsFile


@pytest.mark.parametrize(
    "value",
    [
        "a b",
        "$(touch x)",
        "'; rm -rf /",
        '"',
        "{seed}",
        "--other=1",
        "\n",
        "*",
        "ü",
        1e-05,
        None,
    ],
)
def test_a_value_stays_inside_of_its_word(value):
    words = CommandTemplate("prog --x={block1.op} '{a b}' last").filled(
        {"block1.op": value, "a b": value}
    )
    assert words == ["prog", f"--x={value}", f"{value}", "last"]


def test_an_empty_text_leaves_a_flag_out():
    """`store_true` takes no empty argument: each network without the flag would fail."""
    template = CommandTemplate("{run} {amp} --a={amp} '' {amp}{amp} '{{amp}}' {run}")
    left = ["--a=", "", "", "{amp}"]
    assert template.filled({"amp": "", "run": "x"}) == ["x", *left, "x"]
    assert template.filled({"amp": "", "run": ""}) == ["", *left]
    flags = template.filled({"amp": "-f", "run": "x"})
    assert flags == ["x", "-f", "--a=-f", "", "-f-f", "{amp}", "x"]
    assert CommandTemplate("p {a} {b}").filled({"a": None, "b": 0}) == ["p", "None", "0"]


def test_words_are_those_of_a_shell_and_doubled_braces_are_braces():
    text = """prog "two words" '' --json='{{"depth": {depth}}}' \\# x#y"""
    words = CommandTemplate(text).filled({"depth": 3})
    assert words == ["prog", "two words", "", '--json={"depth": 3}', "#", "x#y"]
    assert words == shlex.split(text.replace("{{", "{").replace("}}", "}").replace("{depth}", "3"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "isn't empty"),
        ("''", "isn't empty|names no program"),
        ("train.py 'half", "can't be read: No closing quotation"),
        ("train.py {n", "brace without a partner"),
        ("train.py {}", "without a name"),
        ("train.py > log.txt", "'>', which only a shell understands"),
        ("cd x && train.py", "'&&', which only a shell understands"),
        ("A=1 train.py", "begin it with `env`"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused(command, message):
    with pytest.raises(InputError, match=message):
        CommandTemplate(command)


def test_a_placeholder_without_a_value_names_those_there_are():
    template = CommandTemplate("train.py --n={n_layers}")
    with pytest.raises(InputError, match=r"\{n_layers\}.*there are: n_layer, seed.*mean n_layer"):
        template.filled({"seed": 1, "n_layer": 2})


def epochs(text, names=("loss", "acc"), step=None):
    patterns = {name: NumberPattern(name, rf"{name} (\S+)") for name in names}
    found = Epochs(patterns, step and NumberPattern("step", step))
    rows = [row for line in text.splitlines() for row in found.read(line)]
    return rows + list(found.rest())


def test_an_epoch_has_each_score_once():
    rows = [(0, {"loss": 3, "acc": 0.1}), (1, {"loss": 2, "acc": 0.2})]
    assert epochs("loss 3 acc 0.1\nloss 2 acc 0.2") == rows
    assert epochs("loss 3\nacc 0.1\nnothing\nloss 2\nacc 0.2") == rows
    assert epochs("loss 3\nloss 2\nacc 0.2") == [(0, {"loss": 3}), rows[1]]
    assert epochs("loss 3\nloss 2") == [(0, {"loss": 3}), (1, {"loss": 2})]


def test_steps_are_read_where_they_are_printed():
    text = "step 0: loss 3\nstep 250: loss 2\nsaved\nstep 500\nloss 1"
    assert epochs(text, ("loss",), r"step (\d+)") == [
        (0, {"loss": 3}),
        (250, {"loss": 2}),
        (500, {"loss": 1}),
    ]
    assert epochs("epoch 1 loss 3\nepoch 2 loss 2 acc 1", step=r"epoch (\d+)") == [
        (1, {"loss": 3}),
        (2, {"loss": 2, "acc": 1}),
    ]


def test_the_last_epoch_counts_or_the_best():
    rows = [{"acc": 0.5, "loss": 2}, {"acc": 0.9, "loss": 3}, {"acc": math.nan}, {"acc": 0.7}]
    directions = {"acc": "maximize", "loss": "minimize"}
    assert final_scores(rows, directions, "last") == {"acc": 0.7, "loss": 3}
    assert final_scores(rows, directions, "best") == {"acc": 0.9, "loss": 3}
    assert final_scores(rows[:1], {"loss": "minimize"}, "best") == {"loss": 2}


def read(*chunks):
    lines = Lines()
    found = [line for chunk in chunks for line in lines.read(chunk)]
    return [*found, *lines.read(b"", final=True)], list(lines.last)


def test_lines_are_those_that_a_terminal_shows():
    text = "\x1b[32mgreen\x1b[0m\r\n 10%|#\r 20%|##\r100%|###\nül\x07\x1b]0;title\x07\x9b2K\nend"
    seen = ["green", " 10%|#", " 20%|##", "100%|###", r"ül\x07", "end"]
    last = ["green", "100%|###", r"ül\x07", "end"]
    data = text.encode()
    assert read(data) == (seen, last)
    assert read(*(data[i : i + 1] for i in range(len(data)))) == (seen, last)
    assert read(b"\xff half \xc3") == (["\ufffd half \ufffd"],) * 2


def test_a_line_without_end_takes_no_memory():
    lines = Lines()
    for _ in range(1000):
        assert not list(lines.read(b"x" * 2**16))
    (line,) = lines.read(b"", final=True)
    assert len(line) == output.LONGEST
    assert len(lines.last[0]) == output.SHOWN


def test_a_log_keeps_its_head_and_its_tail(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "LOGGED", 100)
    with BoundedLog(tmp_path) as log:
        for number in range(1000):
            log.write(f"line {number}")
    kept = {path.name: path.read_text().splitlines() for path in tmp_path.iterdir()}
    assert kept[output.HEAD][0] == "line 0"
    assert (kept[output.BEFORE] + kept[output.TAIL])[-10:] == [
        f"line {n}" for n in range(990, 1000)
    ]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 350


def test_a_log_that_cannot_be_written_is_no_failure(tmp_path):
    with BoundedLog(tmp_path / "missing") as log:
        log.write("x")


def test_files_in_the_command_are_hashed_without_the_comments_of_python(tmp_path):
    (tmp_path / "train.py").write_text("x = 1  # one\n")
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__main__.py").write_text("")
    (tmp_path / "broken.py").write_text("x = (\n")
    words = ["python", "train.py", "--config=a.yaml", "{folder}", "-m", "pkg", "broken.py", "no.py"]
    before = hashes(words, tmp_path)
    assert set(before) == {"train.py", "a.yaml", "pkg/__main__.py", "broken.py"}
    (tmp_path / "train.py").write_text("\nx = 1\n")
    assert hashes(words, tmp_path) == before
    (tmp_path / "train.py").write_text("x = 2\n")
    (tmp_path / "a.yaml").write_text("a: 2\n")
    after = hashes(words, tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"train.py", "a.yaml"}


class Tied(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.into, self.out = nn.Embedding(3, width), nn.Linear(width, 3, bias=False)
        self.out.weight = self.into.weight

    def forward(self, x):
        return self.out(self.into(x))


def loaded(path, model, key=None):
    given = "{folder}/" + path.name
    file = WeightsFile((given, key) if key else given)
    return file.read({"folder": path.parent}, model)


@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module.", "module._orig_mod."])
def test_weights_are_found_under_a_key_and_behind_prefixes(tmp_path, prefix):
    model = Tied()
    state = {prefix + name: value for name, value in model.state_dict().items()}
    torch.save({"model": state, "iter": 3, "config": {"a": "b"}}, tmp_path / "ckpt.pt")
    found = loaded(tmp_path / "ckpt.pt", Tied(), "model")
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())


def test_safetensors_have_tied_weights_once(tmp_path):
    model = Tied()
    save_model(model, tmp_path / "a.safetensors")
    found = loaded(tmp_path / "a.safetensors", Tied())
    assert torch.equal(found["out.weight"], model.into.weight)
    assert torch.equal(found["into.weight"], model.into.weight)


class Runs:
    def __reduce__(self):
        return print, ("code ran",)


def test_weights_that_cannot_be_used_are_refused_with_the_way_out(tmp_path, capfd):
    torch.save({"model": Tied(3).state_dict(), "other": 1}, tmp_path / "shape.pt")
    torch.save({"into.weight": torch.zeros(3, 2), "a.b": torch.ones(1)}, tmp_path / "names.pt")
    torch.save({"model": Runs()}, tmp_path / "code.pt")
    torch.save([1], tmp_path / "list.pt")
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 no")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    for name, key, message in [
        ("missing.pt", None, "wrote no .*missing.pt"),
        (
            "shape.pt",
            None,
            r'holds no tensors but model, other.*weights=\("\{folder\}/shape.pt", "m',
        ),
        ("shape.pt", "modl", r"no key 'modl'; there are: model, other \(did you mean model"),
        ("shape.pt", "model", r"into.weight has shape \(3, 3\) and should have \(3, 2\)"),
        ("names.pt", None, "the network has no a.b"),
        ("code.pt", "model", "would run code"),
        ("list.pt", None, "holds a list, not weights"),
        ("broken.pt", None, "can't be read as weights"),
        ("broken.safetensors", None, "can't be read as weights"),
        ("other.safetensors", None, "it has no into.weight, out.weight; the network has no x"),
    ]:
        # What one trial has written fails that trial, and doesn't end the run.
        kind = CommandError if name.startswith(("missing", "broken")) else InputError
        with pytest.raises(kind, match=message):
            loaded(tmp_path / name, Tied(), key)
    assert "code ran" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("given", ["model.pt", "out/{n}.pt", 3, ("a",), ("{folder}/a", 1), ""])
def test_weights_lie_in_the_folder_of_the_trial(given):
    with pytest.raises(InputError, match="weights"):
        WeightsFile(given)
