"""Callbacks in the training loops of other packages; each test needs its package."""

import os
import signal
import warnings
from unittest import mock

import optuna
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages themselves
X = torch.linspace(-1, 1, 64).reshape(16, 4)
Y = (X.sum(1) > 0).long()


class Stop:
    """A listener that ends the trial at a step."""

    def __init__(self, step):
        self.step, self.seen = step, []

    def __call__(self, step, scores):
        self.seen.append(step)
        if step == self.step:
            raise optuna.TrialPruned


def needed(package):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(package, exc_type=(ImportError, RuntimeError))


def interrupted(*_):
    raise KeyboardInterrupt


def with_lightning(report, name="val_loss", step=lambda: None, **scores):
    lightning = needed("lightning")
    from optnas.integrations.lightning import Reporter

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = nn.Linear(4, 2)

        def training_step(self, batch, _):
            step()
            return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def validation_step(self, batch, _):
            self.log(name, nn.functional.cross_entropy(self.model(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Reporter(report, **scores)],
    )
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    trainer.fit(module := Module(), loader, loader)
    trainer.validate(module, loader, verbose=False)
    return float(trainer.callback_metrics[name])


def with_transformers(report, **scores):
    transformers = needed("transformers")
    needed("accelerate")
    from optnas.integrations.transformers import Reporter

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x, labels):
            logits = self.layer(x)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    arguments = transformers.TrainingArguments(
        "out",
        num_train_epochs=3,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    rows = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    trainer = transformers.Trainer(
        Net(),
        arguments,
        train_dataset=rows,
        eval_dataset=rows,
        callbacks=[Reporter(report, **scores)],
    )
    # It would take the folder tests/datasets for the package of that name.
    with mock.patch("transformers.trainer.is_datasets_available", return_value=False):
        trainer.evaluate()
        trainer.train()
        return trainer.evaluate()["eval_loss"]


def with_skorch(report, **options):
    skorch = needed("skorch")
    from optnas.integrations.skorch import Reporter

    scores = options.pop("scores", {})
    net = skorch.NeuralNetClassifier(
        nn.Linear(4, 2),
        criterion=nn.CrossEntropyLoss,
        max_epochs=3,
        batch_size=4,
        lr=0.1,
        verbose=0,
        callbacks=[*options.pop("before", []), Reporter(report, **scores)],
        **options,
    )
    net.fit(X, Y)
    return net.history[-1, "valid_loss"]


EACH = pytest.mark.parametrize("train", [with_lightning, with_transformers, with_skorch])


@EACH
def test_each_epoch_is_reported_once_with_its_scores(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ways = []
    report = optnas.Report(give_way=lambda: ways.append(1))
    last = train(report)
    assert [point["step"] for point in report.curve] == [0, 1, 2]
    assert report.curve[-1]["val_loss"] == pytest.approx(last)
    assert len(ways) > 2 * len(report.curve)  # before the steps, too


@EACH
def test_a_pruned_trial_ends_the_training(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stop = Stop(1)
    with pytest.raises(optuna.TrialPruned):
        train(optnas.Report(listeners=[stop]))
    assert stop.seen == [0, 1]


def test_scores_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no 'val_los' to report;.*did you mean val_loss"):
        with_lightning(optnas.Report(), val_loss="val_los")


def test_ctrl_c_is_not_swallowed_by_lightning():
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        with_lightning(optnas.Report(), step=lambda: os.kill(os.getpid(), signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_is_not_swallowed_by_skorch():
    needed("skorch")
    from skorch.callbacks import EarlyStopping

    report = optnas.Report()
    with pytest.raises(KeyboardInterrupt):
        with_skorch(report, iterator_train__collate_fn=interrupted)
    stopping = EarlyStopping(monitor="train_loss", patience=1, threshold=10, threshold_mode="abs")
    with_skorch(report, before=[stopping])  # ends by a KeyboardInterrupt of its own
    assert len(report.curve) < 3


def test_timm_models_are_a_search_space(tmp_path):
    needed("timm")
    from optnas.integrations.timm import model_space

    space = model_space(["resnet10t", "mobilenetv3_small_050"], (1, 32, 32), num_classes=5)
    trial = optuna.trial.FixedTrial({"model_name": "mobilenetv3_small_050"})
    model = space.build(space.suggest(trial)).eval()
    assert model(space.example_inputs).shape == (1, 5)
    with pytest.raises(InputError, match=r"timm has no model 'resnet10'"):
        model_space(["resnet10"], (3, 32, 32))
