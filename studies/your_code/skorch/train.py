"""Handwritten digits with skorch."""

import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring, GradientNormClipping
from skorch.dataset import ValidSplit
from torch import nn

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


def main():
    net = NeuralNetClassifier(
        MLP,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=0.01,
        max_epochs=5,
        train_split=ValidSplit(5, stratified=True),
        callbacks=[
            GradientNormClipping(1.0),
            EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False),
        ],
    )
    net.fit(X, y)


if __name__ == "__main__":
    main()
