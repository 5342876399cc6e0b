"""Networks for tables and sequences in files, and the card's code that prepares rows of a table."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

import optnas
from optnas.export.agreement import agree
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.export.usage import Usage, prepared
from optnas.search_spaces import SequenceArchitecture, SequenceSpace, TabularSpace
from optnas.utils.inputs import call
from optnas.utils.network import Network, runner

WITHOUT_OPTNAS = "import sys\nsys.modules['optnas'] = sys.modules['sklearn'] = None\n"


def columns(n=90):
    """Rows with numbers, words and gaps, of which two words and a gap are in few rows."""
    rng = np.random.default_rng(0)
    return {
        "age": [None if rng.random() < 0.2 else float(rng.normal(40, 9)) for _ in range(n)],
        "income": rng.lognormal(3, 1, n).tolist(),
        "city": [["Rome", "Oslo", None][rng.integers(3)] for _ in range(n)],
    }


def searched(target, folder, **settings):
    """A study of one network for the rows, with the search and the data."""
    data = optnas.frame({**columns(), "y": target}, "y", **settings)
    search = optnas.Search(
        space=TabularSpace.for_data(data),
        evaluator=optnas.TrainingEvaluator(data, epochs=2, device="cpu"),
        objectives=("val_loss", "params"),
        trials=1,
        sampler="random",
        storage=str(folder / "rows.db"),
    )
    return search.run(), search, data


def code_of(card):
    """All Python code of a model card, as one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", card.read_text(), re.M | re.S))


NEW = {"age": [None, 51.0], "income": [20.0, 3.5], "city": ["Lima", "Rome"]}


def with_new_rows(code):
    found, count = re.subn(r"^rows = \{.*?^\}", f"rows = {NEW!r}", code, flags=re.M | re.S)
    assert count == 1
    return found


def test_the_cards_code_prepares_rows_without_optnas(tmp_path):
    study, search, data = searched(["no", "yes", "perhaps"] * 30, tmp_path, scale="quantile")
    optnas.retrain(study, search, 0, epochs=1, seeds=1, progress=False)
    done = optnas.export_model(study, search, 0, tmp_path / "model.onnx")
    assert "18 distinct validation examples" in str(done.agreement)
    script = WITHOUT_OPTNAS + with_new_rows(code_of(done.card)) + "\nnp.save('out.npy', outputs)"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    run = FORMATS["onnx"].load(done.path, lambda: None)
    wanted = run(data.prepare(NEW))["output"].numpy()
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), wanted, rtol=1e-5, atol=1e-6)
    assert ran.stdout.strip() == str([data.classes[i] for i in wanted.argmax(1)])
    text = done.card.read_text()
    assert "The classes: 0 `no`, 1 `perhaps`, 2 `yes`." in text
    assert "| `city` | a code: 1 `Oslo`, 2 `Rome`; 0 for others; 3 if it is missing |" in text


@pytest.mark.parametrize("kind", ["pt2", "safetensors"])
def test_the_cards_code_in_pytorch(kind, tmp_path, monkeypatch, capsys):
    target = [100 + income for income in columns()["income"]]
    study, search, data = searched(target, tmp_path)
    done = optnas.export_model(study, search, 0, tmp_path / f"model.{kind}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optnas, "load_search", lambda name: search, raising=False)
    code = with_new_rows(code_of(done.card)).replace("search = ...", "search = given")
    names = {"given": search}
    exec(compile(code, "card", "exec"), names)
    network = optnas.best_model(study, search)
    wanted = data.denormalize(call(network, data.prepare(NEW)).detach())
    mean, std = data.y_moments
    torch.testing.assert_close(names["outputs"] * std + mean, wanted)
    assert "tensor" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [
        ("onnx", SequenceArchitecture("lstm", 1, 3, "last", 0.1, bidirectional=True)),
        ("pt2", SequenceArchitecture("tcn", 1, 3, "mean", 0.1, kernel_size=3)),
    ],
)
def test_networks_for_sequences_have_a_dynamic_batch(kind, architecture, tmp_path):
    space = SequenceSpace((5, 2), 3, lengths=True)
    network = space.build(architecture).eval()
    path = tmp_path / f"network.{kind}"
    FORMATS[kind].write(Network(network, space.example_inputs), path, {})
    x, lengths = torch.randn(6, 5, 2), torch.tensor([5, 1, 3, 2, 4, 5])
    part = {"x": x, "lengths": lengths}, torch.arange(6) % 3
    data = optnas.Dataset("walks", "classification", part, part, part, 3)
    batch, words = examples(data, space.example_inputs, 6, network)
    assert words == "6 distinct validation examples"
    assert torch.equal(batch["lengths"], lengths)
    agree(runner(network), FORMATS[kind].load(path, lambda: None), batch, words, (1, 4, 6))


@pytest.mark.parametrize("module", ["np", "torch"])
def test_the_code_of_a_card_has_lengths_that_a_sequence_may_have(module):
    inputs = SequenceSpace((12, 3), 2, lengths=True).example_inputs
    use = Usage("a.onnx", inputs, True, 1, 2, "classification", {}, "", {})
    zeros = f"{module}.zeros({{shape}}, dtype={module}.{{type}})"
    lines = "\n".join(prepared(use, "", zeros, "{}"))
    assert "# the valid steps of each example" in lines
    names = {"np": np, "torch": torch}
    exec(lines, names)
    assert names["lengths"].tolist() == [12, 12]
    assert names["lengths"].dtype == names[module].int64
    assert names["x"].shape == (2, 12, 3)
