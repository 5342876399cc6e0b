"""Texts and tokens: their parts, and the loss and scores of the next token."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.candidate import Candidate
from optnas.datasets.next_token import TokenCrossEntropy
from optnas.errors import InputError
from optnas.evaluators import Report, held_out as held_out_module
from optnas.testing.spaces import architectures

IDS = np.random.default_rng(0).integers(0, 9, 700)
DATA = optnas.tokens(IDS, length=8, vocabulary=10, val=0.2, test=100)
SPACE = optnas.GPTSpace(
    10, 8, embeddings=(8, 12), depth=(1, 2), heads=(1, 2), mlp_ratios=(1, 2), head_width=4
)


def network(vocabulary=10):
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(vocabulary, 6), nn.Linear(6, vocabulary))


def evaluated(evaluator, model, seed=0):
    candidate = Candidate("a network", DATA.train[0][:1], lambda: model, seed)
    return evaluator.evaluate(candidate, evaluator.suggest(None), Report())


@pytest.mark.parametrize("length", [1, 7, 8])
def test_parts_follow_one_another_and_never_overlap(length):
    data = optnas.tokens(np.arange(700), length=length, val=0.2, test=100)
    start = 0
    for (x, y), number in ((data.train, 460), (data.val, 140), (data.test, 100)):
        assert x.shape == y.shape == ((number - 1) // length, length)
        assert torch.equal(y, x + 1)
        assert torch.equal(x.flatten(), torch.arange(start, start + x.numel()))
        assert int(y.max()) < start + number
        start += number
    assert (data.outputs, data.input_shape, data.task) == (700, (length,), "language")


def test_a_text_is_numbered_by_its_characters():
    text = "naïve 🙂 fox\n" * 30
    data = optnas.text(text, length=10)
    assert data.vocabulary == tuple(sorted(set(text)))
    assert data.outputs == len(set(text))
    assert "".join(data.vocabulary[i] for i in data.train[0].flatten()) == text[:280]
    assert data.fingerprint != optnas.text(text.replace("f", "b"), length=10).fingerprint


def test_the_loss_is_in_nats_a_token_and_perplexity_its_exponential():
    evaluator = optnas.TrainingEvaluator(DATA, epochs=1)
    assert evaluator.provides == {"val_loss": "minimize", "perplexity": "minimize"}
    model = network()
    scores = evaluated(evaluator, model)
    x, y = DATA.val
    with torch.no_grad():
        logs = model(x).log_softmax(-1)
    loss = -float(logs.gather(-1, y[..., None]).mean())
    assert scores["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert scores["perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)


def test_the_scores_of_chance_are_those_of_the_tokens_shares():
    chance = optnas.TrainingEvaluator(DATA).chance
    counts = np.bincount(DATA.train[1].flatten(), minlength=10) + 1
    loss = -np.log(counts / counts.sum())[DATA.val[1].numpy()].mean()
    assert chance == pytest.approx({"val_loss": loss, "perplexity": math.exp(loss)})


def test_the_logits_of_the_validation_part_are_not_kept(monkeypatch):
    """Of 50,000 tokens they would fill the memory; a score of the user's needs them."""
    kept = []
    original = held_out_module.joined
    monkeypatch.setattr(held_out_module, "joined", lambda *args: kept.append(1) or original(*args))
    plain = evaluated(optnas.TrainingEvaluator(DATA, epochs=1), network())
    assert not kept
    own = {"accuracy": (lambda out, y: (out.argmax(-1) == y).float().mean(), "maximize")}
    scores = evaluated(optnas.TrainingEvaluator(DATA, epochs=1, scores=own), network())
    assert kept
    assert scores["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-6)
    assert scores["perplexity"] == pytest.approx(plain["perplexity"], rel=1e-6)
    assert 0 <= scores["accuracy"] <= 1


def test_held_out_batches_are_smaller_the_longer_the_sequences():
    data = optnas.tokens(np.arange(40_000) % 5, length=1000, val=0.5)
    feed = optnas.TrainingEvaluator(data).feed()
    sizes = [len(x) for x, _ in feed.held_out(torch.contiguous_format)]
    assert sizes == [4, 4, 4, 4, 3]


def test_perplexity_can_be_dropped_and_is_none_of_an_own_loss():
    dropped = optnas.TrainingEvaluator(DATA, scores={"perplexity": None})
    assert list(dropped.provides) == ["val_loss"]
    assert list(dropped.chance) == ["val_loss"]
    own = optnas.TrainingEvaluator(DATA, loss=lambda out, y: out.square().mean())
    assert list(own.provides) == ["val_loss"]


def test_padded_targets_of_loaders_are_not_counted():
    x = torch.randint(10, (12, 8))
    y = torch.where(torch.arange(8) < torch.arange(1, 13)[:, None], x, torch.tensor(-100))
    loader = DataLoader(TensorDataset(x, y), batch_size=5)
    loaders = optnas.Loaders(loader, loader, "language", "padded v1")
    model = network()
    scores = evaluated(optnas.TrainingEvaluator(loaders, epochs=1), model)
    with torch.no_grad():
        loss = functional.cross_entropy(model(x)[y >= 0], y[y >= 0])
    assert scores["val_loss"] == pytest.approx(float(loss), rel=1e-5)


def test_label_smoothing_changes_training_alone():
    recipe = optnas.Recipe(label_smoothing=0.3)
    smoothed = evaluated(optnas.TrainingEvaluator(DATA, epochs=1, recipe=recipe), network())
    plain = evaluated(optnas.TrainingEvaluator(DATA, epochs=1), network())
    assert smoothed["val_loss"] != plain["val_loss"]
    out, y = torch.randn(2, 3, 10), torch.randint(10, (2, 3))
    found = TokenCrossEntropy(10)(out, y, label_smoothing=0.3)
    logs = out.log_softmax(-1)
    wanted = 0.7 * logs.gather(-1, y[..., None])[..., 0] + 0.3 * logs.mean(-1)
    torch.testing.assert_close(found, -wanted.mean())


def test_a_search_on_tokens_is_retrained_and_scored_on_the_test_part(tmp_path):
    search = optnas.Search(
        space=SPACE,
        evaluator=optnas.TrainingEvaluator(DATA, epochs=1, device="cpu"),
        objectives=("perplexity", "params"),
        sampler="random",
        trials=2,
        storage=f"sqlite:///{tmp_path}/tokens.db",
        name="tokens",
    )
    study = search.run(progress=False)
    trial = study.best_trials[0]
    assert trial.values[0] == pytest.approx(math.exp(trial.user_attrs["val_loss"]))
    (run,) = optnas.retrain(study, search, trial.number, seeds=1).runs
    assert run.scores["test_perplexity"] == pytest.approx(math.exp(run.scores["test_loss"]))


def test_shared_weights_score_decoders():
    shared = optnas.SharedWeightsEvaluator(optnas.TrainingEvaluator(DATA, epochs=1), steps=3)
    evaluator = shared.bind(SPACE, None)
    architecture, _ = next(architectures(SPACE, 1))
    model = SPACE.build(architecture)
    candidate = Candidate("decoder", SPACE.example_inputs, lambda: model, 0)
    scores = evaluator.evaluate(candidate, evaluator.suggest(None), Report())
    assert scores["perplexity"] == pytest.approx(math.exp(scores["val_loss"]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optnas.tokens([[1, 2]], length=1), r"shape \(n,\), got int64 of shape \(1, 2\)"),
        (lambda: optnas.tokens([0.5, 1.0], length=1), "whole numbers of shape"),
        (lambda: optnas.tokens([0, -1] * 9, length=1), "from 0 to 0, got -1 to 0"),
        (lambda: optnas.tokens([0, 5] * 9, length=1, vocabulary=5), "from 0 to 4, got 0 to 5"),
        (lambda: optnas.tokens(IDS, length=80), "the val part would have 70 of 700 tokens"),
        (lambda: optnas.tokens(IDS, length=8, val=0.6, test=0.6), "train part would have 0 of 700"),
        (lambda: optnas.tokens(IDS, length=0), "length must be"),
        (lambda: optnas.text(b"bytes"), "give a text"),
        (lambda: optnas.arrays(IDS, IDS, task="language"), "optnas.tokens and optnas.text make"),
    ],
)
def test_what_is_no_sequence_of_tokens_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 7)), "shape .*7.* for 10 tokens"),
        (
            nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(32, 10)),
            "return logits for each position",
        ),
    ],
)
def test_a_model_whose_outputs_do_not_fit_is_told_before_training(model, message):
    with pytest.raises(InputError, match=message):
        evaluated(optnas.TrainingEvaluator(DATA, epochs=1), model)


def test_a_target_beyond_the_models_tokens_is_told():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 8))
    with pytest.raises(InputError, match="is class 8, and there are 8 classes, 0 to 7"):
        replace(DATA, outputs=8)
    loaders = optnas.Loaders(
        train=DataLoader(TensorDataset(*DATA.train), batch_size=8),
        val=DataLoader(TensorDataset(*DATA.val), batch_size=8),
        task="language",
        name="narrow",
    )
    with pytest.raises(InputError, match="a target is class 8, and the model has 8 outputs"):
        evaluated(optnas.TrainingEvaluator(loaders, epochs=1), model)


def test_targets_that_are_not_counted_are_no_part_of_the_scores_of_chance():
    def some_left_out(part):
        x, y = part
        return x, torch.where(torch.arange(y.shape[1]) < 2, -100, y)

    parts = map(some_left_out, (DATA.train, DATA.val, DATA.test))
    data = optnas.Dataset("part", "language", *parts, outputs=DATA.outputs)
    chance = optnas.TrainingEvaluator(data).chance
    seen = torch.bincount(data.train[1][:, 2:].flatten(), minlength=DATA.outputs) + 1.0
    wanted = -(seen / seen.sum()).log()[data.val[1][:, 2:]].mean()
    assert chance["val_loss"] == pytest.approx(float(wanted), rel=1e-5)


def test_tokens_are_a_copy_in_any_layout_and_byte_order():
    ids = np.arange(400) % 7
    data = optnas.tokens(ids, length=8)
    before = data.train[1].clone()
    ids[:] = 0
    assert torch.equal(data.train[1], before)
    for same in ((np.arange(400) % 7)[::-1][::-1], (np.arange(400) % 7).astype(">i8")):
        assert optnas.tokens(same, length=8).fingerprint == data.fingerprint
    with pytest.raises(InputError, match="got 0 to 9223372036854775810"):
        optnas.tokens(np.array([0, 2**63 + 2] * 50, dtype=np.uint64), length=8)
