"""Files of transformers: any batch size, and any length of a sequence."""

import json

import onnx
import pytest
import torch

import optnas
from optnas.export.agreement import BATCH_SIZES, agree
from optnas.export.base import Network, runner
from optnas.export.dynamic import shorter
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.search_spaces import GPTSpace, TransformerLayer, ViTSpace
from optnas.search_spaces.transformer import GPTArchitecture, ViTArchitecture

VIT = ViTSpace.small((1, 16, 16), 10)
GPT = GPTSpace.small(vocabulary=13, length=12)
LAYERS = (TransformerLayer(4, 2, kv_heads=2), TransformerLayer(2, 3))
NETWORKS = {
    "class": (VIT, ViTArchitecture(4, 32, LAYERS, "class", 16)),
    "rotary": (
        GPT,
        GPTArchitecture(32, LAYERS, False, "rms_norm", "rotary", tied=False, head_width=16),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_files_compute_what_the_network_computes(name, tmp_path):
    space, architecture = NETWORKS[name]
    torch.manual_seed(0)
    model = space.build(architecture).eval()
    dynamic = {"input": {1: "length"}} if space is GPT else {}
    network = Network(model, space.example_inputs, dynamic=dynamic)
    path = tmp_path / "network.onnx"
    FORMATS["onnx"].write(network, path, {})
    loaded = FORMATS["onnx"].load(path, lambda: space.build(architecture))
    inputs, words = examples(None, space.example_inputs, max(BATCH_SIZES), model)
    agree(runner(model), loaded, inputs, words, BATCH_SIZES)
    if dynamic:
        run, other = shorter(runner(model), dynamic), shorter(loaded, dynamic)
        agree(run, other, inputs, words, (2,))


def test_the_file_of_a_text_model_has_its_characters(tmp_path, monkeypatch, capsys):
    data = optnas.text("the quick brown fox jumps over the lazy dog\n" * 20, length=12)
    search = optnas.Search(
        space=GPTSpace(data.outputs, 12, (8,), (1, 1), (1,), (2,), head_width=8),
        evaluator=optnas.TrainingEvaluator(data, epochs=1, device="cpu"),
        objectives=("val_loss", "params"),
        sampler="random",
        trials=1,
        storage=f"sqlite:///{tmp_path}/text.db",
        name="text",
    )
    path = tmp_path / "network.onnx"
    exported = optnas.export_model(search.run(progress=False), search, 0, path)
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(facts["vocabulary"]) == list(data.vocabulary)
    card = exported.card.read_text()
    assert "for each token, the logits of the next one" in card
    code = card.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(path.parent)
    exec(code, {})
    assert capsys.readouterr().out.rstrip("\n") in data.vocabulary
