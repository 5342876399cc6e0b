"""Low-rank adapters (LoRA) for a small transformer: how large a rank each layer needs.

    optnas run studies/lora_digits.py

The network learns the digits 0 to 4 first, in a second or two, each time this file is imported and
with the same result. Then it is adapted to the digits 5 to 9 with few examples: its weights are
frozen, and adapters and a new head are trained. The search chooses the rank of each layer's
adapter; the objectives are the loss and the number of trainable parameters. It is compared with the
new head alone, with one rank everywhere, and with a training of all weights. 40 trials take about a
minute on an idle CPU core.
"""

from copy import deepcopy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import optnas

WIDTH = 32


class Block(nn.Module):
    """Attention of two heads, with a linear layer for each projection, and a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        q, k, v = (
            layer(y).unflatten(-1, (2, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        heads = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(heads.transpose(1, 2).flatten(2))
        result: Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return result


class Transformer(nn.Module):
    """Reads an image of 8×8 pixels row by row."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, WIDTH)
        self.position = nn.Parameter(0.02 * torch.randn(8, WIDTH))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x.flatten(1, 2)) + self.position
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x.mean(1)))
        return logits


def trained_on(x: Tensor, y: Tensor, steps: int = 100) -> Transformer:
    """The same network at each import: seed, batches and the number of threads are fixed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Transformer()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(steps):
            batch = torch.randint(len(x), (64,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        model.head = nn.Linear(WIDTH, 5)  # for the other task
    torch.set_num_threads(threads)
    return model


images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 1, 8, 8) / 8 - 1
low = digits < 5
base = trained_on(torch.tensor(images[low]).float(), torch.tensor(digits[low]))
# 120 examples to train on, 300 to choose by, and the rest to test.
data = optnas.arrays(
    images[~low], digits[~low] - 5, val=300, test=476, normalize=False, name="digits 5 to 9"
)

space = optnas.LoRASpace(
    base,
    data.train[0][:1],
    targets=("query", "key", "value", "out", "up", "down"),
    ranks=(0, 1, 2, 4, 8),
    train="head",
)

search = optnas.Search(
    space=space,
    evaluator=optnas.TrainingEvaluator(
        data, epochs=30, recipe=optnas.Recipe(learning_rate=0.01, batch_size=32)
    ),
    objectives=("val_loss", "trainable_params"),
    baselines={
        "head alone": space.uniform(0),
        "rank 2": space.uniform(2),
        "rank 8": space.uniform(8),
        "all weights": lambda: deepcopy(base),
    },
    trials=40,
    seed=0,
)
