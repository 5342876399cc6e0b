"""Handwritten digits with skorch."""

import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring, GradientNormClipping
from skorch.dataset import ValidSplit
from torch import nn

import optnas.integrations.skorch

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")


class MLP(nn.Module):
    def __init__(self, hidden=64, layers=2, dropout=0.1):
        super().__init__()
        sizes = [64] + layers * [hidden]
        parts = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            parts += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*parts, nn.Linear(sizes[-1], 10))

    def forward(self, X):
        return self.layers(X)


def main(model, recipe, report):
    net = NeuralNetClassifier(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=0.01,
        max_epochs=5,
        train_split=ValidSplit(5, stratified=True),
        callbacks=[
            GradientNormClipping(1.0),
            EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False),
            optnas.integrations.skorch.Reporter(report),
        ],
    )
    net.fit(X, y)


search = optnas.Search(
    space=optnas.ModelSpace(MLP, {"hidden": [16, 64], "layers": [1, 2]}, torch.zeros(1, 64)),
    evaluator=main,
    objectives=dict.fromkeys(("val_loss", "flops", "params", "latency_ms"), "minimize"),
)
