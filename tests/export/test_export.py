"""Files of networks: they compute what the network did, in a process without optnas."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import optuna
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model
from sklearn.datasets import load_digits
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator, TrainingEvaluator
from optnas.export.agreement import agree
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.export.onnx import ONNX
from optnas.search.study_file import load_search
from optnas.search_spaces import FunctionSpace, MLPSpace, ModelSpace, NASBench201Space
from optnas.study.retrainings import retrained
from optnas.utils.markdown import block, code, plain, table
from optnas.utils.network import Network, runner

RNG = np.random.default_rng(0)
BLOBS = optnas.arrays(RNG.normal(3, 2, size=(90, 4)), np.arange(90) % 3, name="blobs")
LINE = optnas.arrays(RNG.normal(3, 2, size=(90, 4)), RNG.normal(50, 9, 90), name="line")

DIGITS = """
import torch
from torch import nn
import optnas

def build(trial):
    channels = trial.suggest_categorical("channels", [4, 8])
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, 2), nn.BatchNorm2d(channels), nn.ReLU(), nn.Flatten(),
        nn.Linear(9 * channels, 10),
    )

search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 1, 8, 8)),
    evaluator=optnas.TrainingEvaluator(optnas.digits(), epochs=1, device="cpu"),
    objectives=("val_loss", "params"), sampler="random", trials=2, seed=1,
)
"""
ALONE = """
import sys
sys.modules["optnas"] = None  # it can't be imported
import numpy as np
{first}
np.save("first.npy", np.asarray(outputs))
{second}
np.save("second.npy", np.asarray(outputs))
assert sys.modules["optnas"] is None
assert not [name for name in sys.modules if name.startswith("optnas.")]
"""


def code_of(card):
    """The code in a model card."""
    (found,) = re.findall(r"^```python\n(.*?)^```$", card.read_text(), re.MULTILINE | re.DOTALL)
    return found


def run_alone(card, zeros, first, second):
    """Outputs of the card's code for other examples, in a new process without optnas."""
    text = code_of(card)
    assert text.count(zeros) == 1
    script = ALONE.format(first=text.replace(zeros, first), second=text.replace(zeros, second))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.load("first.npy"), np.load("second.npy"), done.stdout


@pytest.mark.slow
def test_a_file_scores_on_the_test_part_what_the_study_reports(optnas, tmp_path):
    """Search, retrain and export; then run the file on the test part, without optnas."""
    (tmp_path / "mine.py").write_text(DIGITS)
    assert optnas("run", "mine.py")[0] == 0
    code, out, _ = optnas("retrain", "mine.py", "--trial", 1, "--epochs", 2, "--seeds", 2)
    assert code == 0
    study = optuna.load_study(study_name="mine", storage="sqlite:///mine.db")
    (kept,) = retrained(study)
    stated = kept.runs[0].scores["test_accuracy"]

    # The raw images, in the study's split.
    search = load_search("mine.py")
    data = search.evaluator.data
    raw = data.test[0] * data.x_moments[1] + data.x_moments[0]
    images, _ = load_digits(return_X_y=True)
    assert raw[0].round().flatten().tolist() in images.tolist()
    np.save("raw.npy", raw.numpy())
    model = search.objective().candidate(study.trials[1]).model
    load_model(model, search.files(study).path("_retrained") / kept.runs[0].weights)
    with torch.no_grad():
        wanted = model.eval()(data.test[0]).numpy()
    assert (wanted.argmax(1) == data.test[1].numpy()).mean() == pytest.approx(stated)

    for kind, zeros, load in (
        ("onnx", "np.zeros((2, 1, 8, 8), dtype=np.float64)", "np.load('raw.npy')"),
        (
            "pt2",
            "torch.zeros((2, 1, 8, 8), dtype=torch.float64)",
            "torch.tensor(np.load('raw.npy'))",
        ),
    ):
        code, out, err = optnas("export", "mine.py", "--trial", 1, "--format", kind)
        assert (code, err) == (0, "")
        assert f"model:      mine_trial1.{kind}\n" in out
        assert "2 epochs, seed 0 of 2" in out
        card = tmp_path / f"mine_trial1.{kind}.md"
        outputs, one, printed = run_alone(card, zeros, load, f"{load}[:1]")
        assert np.abs(outputs - wanted).max() < 1e-5
        assert np.abs(one - wanted[:1]).max() < 1e-5
        assert (outputs.argmax(1) == data.test[1].numpy()).mean() == pytest.approx(stated)
        assert str(outputs.argmax(1)[0]) in printed


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.embed(x).mean(1))


class Two(nn.Module):
    def forward(self, a, b):
        return a + b, (a - b).sum(1)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = Tokens()

    def forward(self, tokens, scale):
        return {"class": self.tokens(tokens) * scale, "scale": scale.flatten(1)}


class AnyShape(nn.Module):
    def forward(self, x):
        return x.reshape(x.shape[0], -1).cumsum(1) + x.shape[0]


CASES = {
    "a tensor": (lambda: nn.Linear(4, 3), torch.zeros(1, 4)),
    "tokens": (Tokens, torch.arange(8).reshape(1, 8)),
    "two by position": (Two, (torch.zeros(1, 5), torch.ones(1, 5))),
    "by name": (Named, {"tokens": torch.arange(8).reshape(1, 8), "scale": torch.ones(1, 1)}),
    "arithmetic on the batch size": (AnyShape, torch.zeros(1, 2, 3)),
}


def exported_search(make, inputs, fn=None):
    def train(model, recipe, report):
        return {"loss": float(sum(p.numel() for p in model.parameters()))}

    return optnas.Search(
        space=ModelSpace(lambda kind: make(), {"kind": ["a"]}, inputs),
        evaluator=FunctionEvaluator(fn or train, {"loss": "minimize"}),
        objectives=("loss",),
        trials=1,
        name="own",
    )


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("case", CASES)
def test_every_form_of_inputs(case, kind):
    make, inputs = CASES[case]
    search = exported_search(make, inputs)
    done = optnas.export_model(search.run(progress=False), search, 0, f"model.{kind}")
    assert done.agreement.batch_sizes == (1, 2, 7, 64)
    assert done.agreement.inputs.startswith("random inputs (")
    assert done.agreement.difference < 1e-6
    assert "Its weights are those of the search" in done.card.read_text()
    script = code_of(done.card)
    exec(script, {})
    if kind == "onnx":
        graph = onnx.load("model.onnx").graph
        batch = [value.type.tensor_type.shape.dim[0].dim_param for value in graph.input]
        assert batch == ["batch"] * len(batch)
        names = [value.name for value in graph.input], [value.name for value in graph.output]
        assert names == {
            "two by position": (["input_0", "input_1"], ["output_0", "output_1"]),
            "by name": (["tokens", "scale"], ["output_class", "output_scale"]),
        }.get(case, (["input"], ["output"]))


class Fixed(nn.Module):
    def forward(self, x):
        return x * float(int(x.shape[0]))


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_networks_that_take_one_batch_size(kind, capfd):
    search = exported_search(Fixed, torch.zeros(1, 4))
    study = search.run(progress=False)
    message = r"can't be traced for batches of any size \(.*\): `batch_size=1` fixes it"
    with pytest.raises(InputError, match=message):
        optnas.export_model(study, search, 0, f"model.{kind}")
    done = optnas.export_model(study, search, 0, f"model.{kind}", batch_size=3)
    assert done.agreement.batch_sizes == (3,)
    assert "3 × 4" in done.card.read_text()
    exec(code_of(done.card), {})
    search = replace(exported_search(Branches, torch.zeros(1, 4)), name="other")
    study = search.run(progress=False)
    with pytest.raises(InputError, match=r'for batches of 1 .*`format="safetensors"` needs'):
        optnas.export_model(study, search, 0, f"other.{kind}", batch_size=1)
    assert capfd.readouterr().err == ""
    assert {p.name for p in Path().iterdir() if kind in p.name} == {
        f"model.{kind}",
        f"model.{kind}.md",
    }


class OfNodes(nn.Module):
    """A network of a graph: of its nodes and of their sums over edges."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, nodes, edges):
        sums = torch.zeros_like(nodes).index_add(0, edges[1], nodes[edges[0]])
        return self.layer(nodes + sums).mean(0, keepdim=True)


@pytest.mark.parametrize("kind", ["onnx", "pt2", "safetensors"])
def test_inputs_that_are_no_batch_of_one_are_taken_as_they_are(kind):
    edges = torch.tensor([[0, 1, 2, 4], [1, 0, 3, 2]])
    search = exported_search(OfNodes, (torch.arange(15.0).reshape(5, 3), edges))
    done = optnas.export_model(search.run(progress=False), search, 0, f"model.{kind}")
    assert done.agreement.batch_sizes == (1,)
    card = done.card.read_text()
    assert "5 × 3" in card
    assert "2 × 4" in card
    if kind != "safetensors":  # whose code imports the study file
        exec(code_of(done.card), {})


def search_of(evaluator=None, **kwargs):
    settings = {
        "space": MLPSpace((4,), 3, depth=(1, 2), width=(8, 16), width_step=8),
        "evaluator": evaluator or TrainingEvaluator(BLOBS, 1, device="cpu"),
        "objectives": ("val_loss", "params"),
        "baselines": {"`by|hand`": lambda: nn.Linear(4, 3)},
        "sampler": "random",
        "trials": 3,
        "seed": 1,
        "name": "mlp",
    }
    return optnas.Search(**(settings | kwargs))


@pytest.mark.parametrize("kind", [name for name, kind in FORMATS.items() if not kind.rounds])
def test_a_file_that_is_another_network_is_refused(kind, monkeypatch, tmp_path):
    search = search_of()
    study = search.run(progress=False)
    front = optnas.front(study)[0].number
    load = type(FORMATS[kind]).load

    def wrong(self, path, fresh):
        run = load(self, path, fresh)
        return lambda inputs: {n: t + 2e-5 for n, t in run(inputs).items()}

    before = {p.name for p in tmp_path.iterdir()}
    monkeypatch.setattr(type(FORMATS[kind]), "load", wrong)
    message = r"nothing is written: .* isn't the network \(at batch size 1 its outputs differ by 2e"
    with pytest.raises(InputError, match=message):
        optnas.export_model(study, search, front, f"model.{kind}")
    assert {p.name for p in tmp_path.iterdir()} == before


def test_how_outputs_are_compared():
    inputs = torch.linspace(-1, 1, 64).reshape(64, 1)

    def plus(shift, scale=1.0):
        return lambda x: {"output": x * scale + shift}

    assert agree(plus(0), plus(9e-6), inputs, "", (1, 64)).difference == pytest.approx(9e-6, 0.02)
    with pytest.raises(InputError, match=r"at batch size 2 its outputs differ"):
        agree(plus(0), lambda x: {"output": x + (len(x) > 1) * 1e-4}, inputs, "", (1, 2))
    # Large outputs may differ by more.
    assert agree(plus(0, 1e4), plus(9e-2, 1e4), inputs, "", (64,)).difference < 1e-5
    with pytest.raises(InputError, match=r"differ by nan"):
        agree(plus(0), plus(float("nan")), inputs[:1], "", (1,))
    with pytest.raises(InputError, match=r"its outputs are different: .*int32 of shape \(1, 1\)"):
        agree(plus(0), lambda x: {"output": x.int()}, inputs[:1], "", (1,))
    whole = inputs.int() + 3
    with pytest.raises(InputError, match=r"differ by inf"):
        agree(lambda x: {"o": x}, lambda x: {"o": x + 1}, whole[:1], "", (1,))


def test_which_weights_are_taken():
    search = search_of()
    study = search.run(progress=False)
    members = [t.number for t in optnas.front(study)]
    on, off = members[0], next(n for n in range(3) if n not in members)

    def export(trial, **kwargs):
        return optnas.export_model(study, search, trial, "m.safetensors", force=True, **kwargs)

    def kept():
        with safe_open("m.safetensors", "pt") as file:
            return load_file("m.safetensors"), file.metadata()

    done = export(on)
    assert str(done.weights) == "those of the search"
    assert "These weights have not been scored on the test part." in done.card.read_text()
    model = optnas.best_model(study, search, trial=on)
    weights, facts = kept()
    assert all(torch.equal(weights[n], t) for n, t in model.state_dict().items())
    assert json.loads(facts["x_mean"]) == BLOBS.x_moments[0].tolist()
    assert json.loads(facts["parameters"]) == study.trials[on].params
    assert "scores" not in facts
    with pytest.raises(InputError, match=rf"no trained weights of trial {off} .*`optnas retrain`"):
        export(off)
    with pytest.raises(InputError, match=rf"trial {off} has no retrained weights: `optnas retrain"):
        export(off, weights="retrained")
    with pytest.raises(InputError, match=r"weights must be retrained or search, got 'best'"):
        export(on, weights="best")

    first = optnas.retrain(study, search, on, seeds=3, epochs=2, progress=False)
    last = optnas.retrain(study, search, on, seeds=2, progress=False)
    done = export(on)
    assert done.weights.run == last.runs[0]
    found, facts = kept()
    path = search.files(study).path("_retrained") / last.runs[0].weights
    assert all(torch.equal(found[name], tensor) for name, tensor in load_file(path).items())
    assert json.loads(facts["scores"]) == last.runs[0].scores
    assert facts["weights"] == (
        "retrained on the training and validation parts, 1 epoch, seed 0 of 2"
    )
    card = done.card.read_text()
    assert f"| `test_loss` | {last.runs[0].scores['test_loss']:.4g} | " in card
    assert f"Warning: other networks of this study were scored on the test part: trial {on}" in card
    assert export(on, weights="search").weights.run is None
    path.write_bytes(b"no safetensors at all, but something else")
    with pytest.raises(InputError, match=r"seed0.safetensors was changed since the training that"):
        export(on)
    path.unlink()
    with pytest.raises(InputError, match=r"is gone: the same `optnas retrain` makes it again"):
        export(on)
    optnas.retrain(study, search, on, seeds=3, epochs=2, progress=False)
    assert first.runs[0].weights != last.runs[0].weights


def test_edited_code_is_refused():
    def space(activation):
        return FunctionSpace(make_build(activation), torch.zeros(1, 4))

    search = search_of(space=space(relu_network), baselines={})
    study = search.run(progress=False)
    number = optnas.front(study)[0].number
    edited = search_of(space=space(tanh_network), baselines={})
    with pytest.raises(InputError, match=r"other settings \(code of the space: "):
        optnas.export_model(study, edited, number)
    assert optnas.export_model(study, edited, number, "a.pt2", accept_changes=True)
    wider = search_of(space=space(wider_network), baselines={})
    with pytest.raises(InputError, match=r"but today's code makes"):
        optnas.export_model(study, wider, number, accept_changes=True)
    transposed = search_of(space=space(transposed_network), baselines={})
    with pytest.raises(InputError, match=r"don't fit the network that today's code makes"):
        optnas.export_model(study, transposed, number, accept_changes=True)
    # The weights of the search depend on how examples were normalised.
    other = search_of(TrainingEvaluator(LINE, 1, device="cpu"), space=space(relu_network))
    with pytest.raises(InputError, match=r"other settings \(evaluator data: blobs"):
        optnas.export_model(study, other, number)


def make_build(build):
    return build


def relu_network(trial):
    width = trial.suggest_int("width", 4, 6)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


def tanh_network(trial):
    width = trial.suggest_int("width", 4, 6)
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))


def wider_network(trial):
    width = trial.suggest_int("width", 4, 6) + 1
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


def transposed_network(trial):
    """As many parameters and macs, but other layer names."""
    width = trial.suggest_int("width", 4, 6)
    return nn.Sequential(nn.Identity(), nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


def test_a_regression_in_the_units_of_its_targets():
    space = MLPSpace((4,), 1, depth=(1, 1), width=(8, 8))
    evaluator = TrainingEvaluator(LINE, 1, device="cpu")
    search = search_of(evaluator, space=space, baselines={}, trials=1)
    study = search.run(progress=False)
    done = optnas.export_model(study, search, 0, "line.pt2")
    raw = LINE.test[0] * LINE.x_moments[1] + LINE.x_moments[0]
    text = code_of(done.card)
    zeros = "torch.zeros((2, 4), dtype=torch.float64)"
    assert zeros in text
    last = text.strip().splitlines()[-1]
    assert last == "print(outputs.double() * std + mean)  # in the units of the targets"
    found = {"raw": raw}
    exec(text.replace(zeros, "raw").replace("print(", "result = ("), found)
    model = optnas.best_model(study, search)
    with torch.no_grad():
        wanted = LINE.denormalize(model(LINE.test[0]))
    assert torch.allclose(found["result"], wanted, atol=1e-4)
    card = done.card.read_text()
    assert "output · std + mean is in the units of the targets" in card
    assert f"mean {LINE.y_moments[0].item()} and std {LINE.y_moments[1].item()}" in card


def test_weights_alone_run_with_the_study_file(tmp_path, optnas):
    (tmp_path / "mine.py").write_text(DIGITS)
    assert optnas("run", "mine.py")[0] == 0
    code, out, _ = optnas("export", "mine.py", "--trial", 1, "-o", "w.safetensors")
    if code:  # it isn't on the front
        code, out, _ = optnas("export", "mine.py", "--trial", 0, "-o", "w.safetensors")
    assert (code, "w.safetensors.md" in out) == (0, True)
    found = {}
    exec(code_of(tmp_path / "w.safetensors.md"), found)
    assert found["outputs"].shape == (2, 10)


def test_a_baseline_and_its_name():
    search = search_of()
    study = search.run(progress=False)
    assert study.trials[0].user_attrs["baseline"] == "`by|hand`"
    optnas.retrain(study, search, 0, seeds=1, progress=False)
    done = optnas.export_model(study, search, 0, "base.pt2")
    card = done.card.read_text()
    assert "A baseline, made by hand: `` `by|hand` ``." in card
    assert "```\nbaseline `by|hand`\n```" in card
    exec(code_of(done.card), {})


def test_the_users_text_is_escaped_in_markdown():
    assert code("a`b") == "``a`b``"
    assert code("`a`") == "`` `a` ``"
    assert code("a\nb") == "`a b`"
    assert code("") == "(empty)"
    assert plain("*a* [b](c) <d> _e_\n# f") == r"\*a\* \[b\](c) \<d\> \_e\_ \# f"
    assert block("x\n```\ny", "python") == "````python\nx\n```\ny\n````"
    assert table([("a", "b"), ("c|d", "`e|f`")]) == "| a | b |\n| --- | --- |\n| c\\|d | `e\\|f` |"


def test_existing_files_and_unusable_paths_are_refused(tmp_path):
    search = search_of()
    study = search.run(progress=False)
    number = optnas.front(study)[0].number

    def export(path=None, **kwargs):
        return optnas.export_model(study, search, number, path, **kwargs)

    done = export(format="pt2")
    assert done.path == Path(f"mlp_trial{number}.pt2").absolute()
    with pytest.raises(InputError, match=r"exists already: give another name, or `force=True`"):
        export(format="pt2")
    assert export(format="pt2", force=True).path == done.path
    done.path.unlink()
    with pytest.raises(InputError, match=r"pt2\.md exists already"):
        export(format="pt2")
    (tmp_path / "folder.pt2").mkdir()
    for path, kwargs, message in (
        ("no/m.pt2", {}, r"there is no folder .*no: create it first"),
        ("m.pt2", {"format": "onnx"}, r"m\.pt2 must end in \.onnx"),
        ("m.txt", {}, r"m\.txt must end in \.onnx"),
        (
            "m.h5",
            {"format": "h5"},
            r"unknown format 'h5'; there are: onnx, onnx-int8, pt2, safetensors",
        ),
        ("folder.pt2", {"force": True}, r"folder\.pt2 exists already"),
        ("m.safetensors", {"batch_size": 2}, r"only weights, for any batch"),
        ("m.pt2", {"batch_size": 0}, r"batch_size must be at least 1, got 0"),
    ):
        with pytest.raises(InputError, match=message):
            export(path, **kwargs)


def test_a_full_disk_leaves_nothing(monkeypatch, tmp_path):
    search = search_of()
    study = search.run(progress=False)
    number = optnas.front(study)[0].number
    before = {p.name for p in tmp_path.iterdir()}

    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=r"can't write m\.pt2: .*No space left"):
        optnas.export_model(study, search, number, "m.pt2")
    assert {p.name for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages_are_reported(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"needs the extra onnx: pip install 'optnas\[onnx\]'"):
        ONNX().write(Network(nn.Linear(2, 2), torch.zeros(1, 2)), Path("m.onnx"), {})


def test_a_study_of_looked_up_scores_has_no_weights():
    def build(trial):
        return nn.Linear(2, trial.suggest_int("width", 1, 3))

    table = {f"width={w}": {"loss": 1.0 / w} for w in (1, 2, 3)}
    search = optnas.Search(
        space=FunctionSpace(build, torch.zeros(1, 2)),
        evaluator=optnas.TabularEvaluator(table, {"loss": "minimize"}),
        objectives=("loss",),
        trials=1,
        seed=0,
    )
    study = search.run(progress=False)
    with pytest.raises(InputError, match=r"its scores are looked up, and nothing is trained"):
        optnas.export_model(study, search, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_cell_of_nasbench201(kind):
    space = NASBench201Space(input_shape=(3, 8, 8), outputs=10)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    model = space.build(space.suggest(study.ask())).eval()
    inputs = space.example_inputs
    FORMATS[kind].write(Network(model, inputs), Path(f"m.{kind}"), {"a": "ü"})
    batch, words = examples(None, inputs, 64)
    run = FORMATS[kind].load(Path(f"m.{kind}"), lambda: model)
    agree(runner(model), run, batch, words, (1, 2, 7, 64))
