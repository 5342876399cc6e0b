"""Files with 8-bit integers: they score what the study says, to the last example."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxruntime.quantization
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator
from optnas.evaluators.int8_scores import calibration_of
from optnas.export.model import checked_format
from optnas.export.onnx_int8 import ONNXInt8
from optnas.utils.file_network import FileNetwork
from optnas.utils.inputs import in_order
from optnas.utils.int8 import Calibration, batches, count_weights, quantize, write_int8
from optnas.utils.network import Network
from optnas.utils.network_file import load_network, write_network

DATA = optnas.digits()
TOOLS = {"onnx.infer", "onnx.quant.pre_process"}
"""Facts that ONNX Runtime's quantiser adds to a file."""


def build(trial):
    channels = trial.suggest_int("channels", 8, 8)
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * channels, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study of one network with 133,994 parameters."""
    folder = tmp_path_factory.mktemp("int8")
    training = optnas.TrainingEvaluator(DATA, epochs=1, device="cpu")
    search = optnas.Search(
        space=optnas.FunctionSpace(build, torch.zeros(1, 1, 8, 8)),
        evaluator=optnas.Quantized(training, examples=100),
        objectives=("val_accuracy.int8", "model_size_mb.int8", "val_loss"),
        sampler="random",
        trials=1,
        seed=1,
        storage=f"sqlite:///{folder}/int8.db",
        name="int8",
    )
    return search.run(progress=False), search


def outputs_of(path, part):
    """What a file makes of all examples of a part at once, by ONNX Runtime alone."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": part[0].numpy()})[0]


def right(outputs, part):
    return float((outputs.argmax(1) == part[1].numpy()).mean())


def test_the_objective_is_the_score_of_the_file_that_is_exported(trained, capfd):
    study, search = trained
    stored = study.trials[0].user_attrs
    done = optnas.export_model(study, search, 0, "m.int8.onnx")
    assert capfd.readouterr() == ("", "")
    outputs = outputs_of("m.int8.onnx", DATA.val)
    assert right(outputs, DATA.val) == pytest.approx(stored["val_accuracy.int8"], abs=1e-7)
    (part,) = done.int8.parts
    assert (part.part, part.examples) == ("validation", len(DATA.val[1]))
    assert part.file == {name: stored[name] for name in ("val_loss.int8", "val_accuracy.int8")}
    assert part.network == pytest.approx({n: stored[n] for n in ("val_loss", "val_accuracy")})

    # The parity, from the outputs alone.
    with torch.no_grad():
        wanted = optnas.best_model(study, search)(DATA.val[0]).numpy()
    assert part.same == np.mean(wanted.argmax(1) == outputs.argmax(1))
    assert part.mean == pytest.approx(np.abs(wanted - outputs).mean(), rel=1e-4)
    assert part.most == pytest.approx(np.abs(wanted - outputs).max(), rel=1e-4)
    assert 0 < part.most < 0.2 * np.abs(wanted).max()

    card = done.card.read_text()
    assert "Calibrated with 100 examples of the training part: each range" in card
    assert f"On all {len(DATA.val[1])} examples of the validation part:" in card
    assert re.search(r"\| `val_accuracy` \| 0\.\d+ \| 0\.\d+ \|", card)
    assert f"the predicted class is the same for {100 * part.same:.4g} %" in card
    assert "it computes nearly what the trained PyTorch network does" in card
    assert "8 × 8" in card
    assert "batch" in card

    model = onnx.load("m.int8.onnx")
    kept = {fact.key: fact.value for fact in model.metadata_props}
    assert kept["calibration"].startswith("100 examples of the training part")
    assert json.loads(kept["parameters"]) == {"channels": 8}
    # The size is that of the file without the facts of the study, for weights of any value.
    del model.metadata_props[:]
    for name in sorted(TOOLS):
        model.metadata_props.add(key=name, value=kept[name])
    assert model.ByteSize() / 1e6 == stored["model_size_mb.int8"]
    assert stored["params"] == 133_994
    assert stored["model_size_mb.int8"] < 0.3 * 4 * stored["params"] / 1e6
    assert done.int8.weights.int8 == 9 * 8 + 512 * 256 + 256 * 10


def test_a_retrained_network_is_scored_on_the_test_part(trained):
    study, search = trained
    run = optnas.retrain(study, search, 0, seeds=1, progress=False).runs[0]
    done = optnas.export_model(study, search, 0, "m.int8.onnx", batch_size=50)
    val, test = done.int8.parts
    assert test.file == {n: s for n, s in run.scores.items() if n.endswith(".int8")}
    assert test.network == {n: s for n, s in run.scores.items() if not n.endswith(".int8")}
    assert test.same is not None
    assert test.same > 0.9
    assert (val.examples, test.examples) == (len(DATA.val[1]), len(DATA.test[1]))
    # A file for 50 examples alone scores the rest of 359 as well.
    found = torch.cat(
        [
            torch.from_numpy(outputs_of("m.int8.onnx", (batch, None)))[:number]
            for batch, number in batches(DATA.test[0], 50)
        ]
    )
    assert right(found.numpy(), DATA.test) == pytest.approx(run.scores["test_accuracy.int8"])
    card = done.card.read_text()
    assert "the validation part, which these weights were trained on, too:" in card
    assert f"On all {len(DATA.test[1])} examples of the test part:" in card


class Tokens(nn.Module):
    """An embedding and an LSTM, with two outputs by name."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.lstm = nn.LSTM(16, 12, batch_first=True)
        self.head = nn.Linear(12, 3)

    def forward(self, ids, scale):
        states = self.lstm(self.embed(ids))[0]
        return {"classes": self.head(states[:, -1]) * scale, "states": states}


def test_embeddings_become_integers_and_an_lstm_stays_as_it_is(capfd):
    torch.manual_seed(0)
    one = {"ids": torch.zeros(1, 7, dtype=torch.long), "scale": torch.ones(1, 1)}
    many = {"ids": torch.randint(50, (40, 7)), "scale": torch.rand(40, 1) + 0.5}
    network = Network(Tokens().eval(), one)
    write_int8(network, Calibration(many, ""), Path("m.onnx"), {})
    assert capfd.readouterr() == ("", "")
    assert count_weights(Path("m.onnx")).int8 == 50 * 16 + 12 * 3
    assert {"LSTM", "QuantizeLinear"} <= {n.op_type for n in onnx.load("m.onnx").graph.node}
    file = FileNetwork(load_network(Path("m.onnx")), network)
    with torch.no_grad():
        wanted = network.model(**many)
    found = file(**many)
    assert list(found) == ["classes", "states"]
    # Integers that saturate were off by 0.1 here.
    assert all(torch.allclose(found[k], wanted[k], atol=0.02) for k in wanted)
    with pytest.raises(InputError, match=r"can't run inputs of the shapes .*ids \(40, 5\)"):
        file(ids=many["ids"][:, :5], scale=many["scale"])


def test_a_file_is_the_same_each_time_and_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    write_network(Network(model, torch.zeros(1, 4)), Path("float.onnx"), {"a": "b"})
    feed = {"input": torch.randn(20, 4).numpy()}
    for name in "ab":
        quantize(Path("float.onnx"), Path(name), [feed])
    assert Path("a").read_bytes() == Path("b").read_bytes()
    # Other ranges give other integers, in as many bytes.
    quantize(Path("float.onnx"), Path("b"), [{"input": 3 - feed["input"]}])
    assert Path("a").read_bytes() != Path("b").read_bytes()
    assert Path("a").stat().st_size == Path("b").stat().st_size

    def raises(error):
        def fail(*args, **kwargs):
            assert list((tmp_path / "tmp").iterdir())
            raise error

        return fail

    for error, wanted in ((KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, "full"), OSError)):
        monkeypatch.setattr(onnxruntime.quantization, "quantize_static", raises(error))
        with pytest.raises(wanted):
            quantize(Path("float.onnx"), Path("c"), [feed])
    monkeypatch.setattr(onnxruntime.quantization, "quantize_static", raises(TypeError("odd op")))
    with pytest.raises(InputError, match=r"can't quantise this network \(TypeError: odd op\)"):
        quantize(Path("float.onnx"), Path("c"), [feed])
    assert not list((tmp_path / "tmp").iterdir())
    assert not Path("c").exists()


class Recorder(TensorDataset):
    """Examples, and the indices of those that were read."""

    def __init__(self, number):
        super().__init__(torch.arange(number).float()[:, None], torch.zeros(number))
        self.read = []

    def __getitem__(self, index):
        self.read.append(index)
        return super().__getitem__(index)


def test_the_calibration_reads_nothing_but_training_examples():
    parts = {name: Recorder(40) for name in ("train", "val", "train_val", "test")}
    loaders = optnas.Loaders(
        **{n: DataLoader(p, 8, shuffle=n == "train") for n, p in parts.items()},
        task="regression",
        name="recorded",
    )
    before = torch.random.get_rng_state()
    found = [calibration_of(loaders, torch.zeros(1, 1), 12) for _ in range(2)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(found[0].inputs, found[1].inputs)  # shuffled in the same way
    assert len(found[0].inputs) == 12
    assert set(found[0].inputs.flatten().int().tolist()) <= set(parts["train"].read)
    assert {name for name, part in parts.items() if part.read} == {"train"}

    nothing = torch.full_like(DATA.val[0], float("nan")), DATA.val[1]
    blind = replace(DATA, val=nothing, test=nothing)
    chosen = calibration_of(blind, torch.zeros(1, 1, 8, 8), 100).inputs
    assert torch.equal(chosen, calibration_of(DATA, torch.zeros(1, 1, 8, 8), 100).inputs)
    spread = [int((DATA.train[0] == one).flatten(1).all(1).nonzero()[0]) for one in chosen]
    assert spread == [k * len(DATA.train[1]) // 100 for k in range(100)]
    every = calibration_of(DATA, torch.zeros(1, 1, 8, 8), 10**6)
    assert torch.equal(every.inputs, DATA.train[0])


def test_examples_that_networks_do_not_take_are_refused():
    with pytest.raises(InputError, match=r"those of 'digits' have .*where networks take .*1, 64"):
        calibration_of(DATA, torch.zeros(1, 64), 10)
    odd = DataLoader(TensorDataset(*3 * [torch.zeros(8, 1)]), 4)
    with pytest.raises(InputError, match=r"batches of 'odd' are no pairs \(inputs, targets\)"):
        calibration_of(optnas.Loaders(odd, odd, "regression", "odd"), torch.zeros(1, 1), 10)
    lengths = [(torch.zeros(4, n), torch.zeros(4)) for n in (2, 3)]
    ragged = DataLoader(lengths, batch_size=None)
    with pytest.raises(InputError, match=r"batches of 'ragged' have others: pad all examples"):
        calibration_of(optnas.Loaders(ragged, ragged, "regression", "ragged"), torch.zeros(1, 2), 9)


@pytest.mark.parametrize("number", [1, 7, 31, 32, 33, 100])
def test_batches_of_one_size_are_filled_and_hold_each_example_once(number):
    x = {"x": torch.arange(number), "t": torch.tensor(3.0)}
    for only in (None, 1, 7, 32):
        found = list(batches(x, only))
        kept = torch.cat([batch["x"][:count] for batch, count in found])
        assert kept.tolist() == list(range(number))
        assert all(len(batch["x"]) == (only or count) for batch, count in found)
        assert all(in_order(batch)[1] == 3 for batch, _ in found)


def test_what_is_missing_is_said():
    def fit(model, recipe, report):
        return {"val_loss": 0.5}

    with pytest.raises(InputError, match=r"a FunctionEvaluator doesn't tell optnas its data: let"):
        ONNXInt8().calibrated(FunctionEvaluator(fit, {"val_loss": "minimize"}), torch.zeros(1, 2))
    with pytest.raises(TypeError, match=r"training must be a TrainingEvaluator, got Function"):
        optnas.Quantized(FunctionEvaluator(fit, {"val_loss": "minimize"}))
    training = optnas.TrainingEvaluator(DATA, epochs=1)
    with pytest.raises(ValueError, match=r"examples must be .*at least 1"):
        optnas.Quantized(training, examples=0)
    space = optnas.FunctionSpace(build, torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"'val_accuracy\.int8': .* optnas\.Quantized\(optnas\."):
        optnas.Objective(space, training, ("val_accuracy.int8",))


def test_the_end_of_a_name_is_its_format():
    def kind(path, format=None):
        settings = {"weights": None, "batch_size": None, "dynamic": None}
        return checked_format(path, format=format, **settings).name

    assert kind("m.int8.onnx") == kind("m.int8.onnx", "onnx-int8") == "onnx-int8"
    assert kind(None, "onnx-int8") == "onnx-int8"
    assert kind("m.onnx") == kind("int8.onnx") == "onnx"
    with pytest.raises(InputError, match=r"m\.onnx must end in \.int8\.onnx: it is written as onn"):
        kind("m.onnx", "onnx-int8")
