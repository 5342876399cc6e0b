"""A trained CNN is made slimmer: how many channels of each layer stay.

    pip install 'optnas[slim]'
    optnas run studies/digits_slim.py

A residual CNN learns the digits first, in some seconds, each time this file is imported and with
the same result. The search chooses the width of each group of its channels. A slimmer network has
the most important channels with their weights, and is trained for 3 epochs more. It is compared
with the original, trained on as well, and with one width everywhere. 60 trials take about a minute
on an idle CPU core.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

import optnas


class Block(nn.Module):
    """Two convolutions and a shortcut; the first one may halve the image."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + self.shortcut(x))


class ResidualCNN(nn.Module):
    """Three blocks of 16, 32 and 64 channels for images of 8×8 pixels."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.block1, self.block2 = Block(16, 16, 1), Block(16, 32, 2)
        self.block3 = Block(32, 64, 2)
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(relu(self.stem(x)))))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def trained_on(x: Tensor, y: Tensor, steps: int = 150) -> ResidualCNN:
    """The same network at each import: seed, batches and the number of threads are fixed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ResidualCNN()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, steps)
        for _ in range(steps):
            batch = torch.randint(len(x), (64,))
            optimizer.zero_grad()
            cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    torch.set_num_threads(threads)
    return model


data = optnas.digits()
space = optnas.SlimSpace(
    trained_on(*data.train), data.train[0][:1], widths=(0.125, 0.25, 0.5, 0.75, 1.0)
)

search = optnas.Search(
    space=space,
    evaluator=optnas.TrainingEvaluator(
        data, epochs=3, recipe=optnas.Recipe(learning_rate=0.003, batch_size=32)
    ),
    objectives=("val_loss", "flops", "params"),
    baselines={
        "original": space.uniform(1.0),
        "half everywhere": space.uniform(0.5),
        "a quarter everywhere": space.uniform(0.25),
    },
    trials=60,
    seed=0,
)
