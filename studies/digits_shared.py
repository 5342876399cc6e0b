"""A thousand small CNNs for handwritten digits, scored with weights that all of them share.

    optnas run studies/digits_shared.py
    optnas confirm studies/digits_shared.py --most 20 --seeds 1

The first command trains the shared weights and scores 1,000 networks with what they inherit, in
about two minutes on a CPU core; the second one trains the 20 most promising ones for real, in about
three. A person's own function makes the networks: sharing needs no supernet, only parameters whose
names say where they belong.
"""

import optuna
from torch import Tensor, nn

import optnas

data = optnas.digits()


class Network(nn.Module):
    """Blocks of a convolution, normalisation and ReLU; the first two halve the image."""

    def __init__(self, shapes: list[tuple[int, int]], outputs: int = 10) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        channels = 1
        for i, (out, kernel) in enumerate(shapes):
            block: list[nn.Module] = [
                nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            self.blocks.append(nn.Sequential(*block, *([nn.MaxPool2d(2)] if i < 2 else [])))
            channels = out
        self.head = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def build(trial: optuna.Trial) -> nn.Module:
    """One to five blocks, each with its channels and kernel."""
    shapes = []
    for i in range(1, trial.suggest_int("depth", 1, 5) + 1):
        channels = trial.suggest_categorical(f"block{i}.channels", (4, 8, 16, 32, 64))
        kernel = trial.suggest_categorical(f"block{i}.kernel_size", (1, 3, 5))
        shapes.append((channels, kernel))
    return Network(shapes)


search = optnas.Search(
    space=optnas.FunctionSpace(build, data.train[0][:1]),
    evaluator=optnas.SharedWeightsEvaluator(
        optnas.TrainingEvaluator(
            data, epochs=100, recipe=optnas.Recipe(learning_rate=0.01, batch_size=32)
        ),
        steps=5_000,
        recipe=optnas.Recipe(learning_rate=0.01),
    ),
    objectives=("val_loss", "flops", "params"),
    sampler="evolution",
    trials=1_000,
    seed=0,
)
