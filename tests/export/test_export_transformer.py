"""Files of transformers: any batch size, any length of a sequence, and the text of tokens."""

import json

import numpy as np
import onnx
import onnxruntime
import torch

import optnas
from optnas.export.agreement import BATCH_SIZES, agree
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.search_spaces import GPTSpace, TransformerLayer, ViTSpace
from optnas.search_spaces.transformer import ViTArchitecture
from optnas.utils.network import Network, runner


def test_the_file_of_a_vision_transformer_takes_any_batch(tmp_path):
    space = ViTSpace.small((1, 16, 16), 10)
    layers = (TransformerLayer(4, 2), TransformerLayer(2, 3))
    torch.manual_seed(0)
    model = space.build(ViTArchitecture(4, 32, layers, "class", 16)).eval()
    path = tmp_path / "network.pt2"
    FORMATS["pt2"].write(Network(model, space.example_inputs), path, {})
    loaded = FORMATS["pt2"].load(path, lambda: model)
    inputs, words = examples(None, space.example_inputs, max(BATCH_SIZES), model)
    agree(runner(model), loaded, inputs, words, BATCH_SIZES)


def test_the_file_of_a_decoder_takes_any_length_and_has_its_characters(
    tmp_path, monkeypatch, capsys
):
    data = optnas.text("the quick brown fox jumps over the lazy dog\n" * 20, length=12)
    space = GPTSpace(
        data.outputs,
        12,
        embeddings=(16,),
        depth=(1, 1),
        heads=(4,),
        mlp_ratios=(2,),
        kv_heads=(2,),
        norms=("rms_norm",),
        positions=("rotary",),
        head_width=4,
    )
    search = optnas.Search(
        space=space,
        evaluator=optnas.TrainingEvaluator(data, epochs=1, device="cpu"),
        objectives=("val_loss", "params"),
        sampler="random",
        trials=1,
        storage=f"sqlite:///{tmp_path}/text.db",
        name="text",
    )
    study = search.run(progress=False)
    path = tmp_path / "network.onnx"
    exported = optnas.export_model(study, search, 0, path, dynamic={"input": {1: "length"}})
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(facts["vocabulary"]) == list(data.vocabulary)

    model = optnas.best_model(study, search).cpu().eval()
    session = onnxruntime.InferenceSession(path.read_bytes())
    for length in (1, 5, 12):
        tokens = data.test[0][:3, :length].contiguous()
        (logits,) = session.run(None, {"input": tokens.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(logits, model(tokens).numpy(), atol=1e-5)

    card = exported.card.read_text()
    assert "for each token, the logits of the next one" in card
    monkeypatch.chdir(tmp_path)
    exec(card.split("```python\n")[1].split("```")[0], {})
    assert capsys.readouterr().out.removesuffix("\n") in data.vocabulary
