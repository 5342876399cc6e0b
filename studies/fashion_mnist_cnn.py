"""CNNs for Fashion-MNIST, compared with LeNet-5 and a small ResNet.

    optnas run studies/fashion_mnist_cnn.py

Images: the four IDX files in the folder that FASHION_MNIST names, by default where Debian and
Ubuntu put them (`apt-get install dataset-fashion-mnist`). FASHION_MNIST_TRAIN is the number of
training images; by default 12,000 of the 60,000, which takes about ten minutes on a CPU core.
"""

import os

from torch import Tensor, nn

import optnas

data = optnas.idx_images(
    os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"),
    train=int(os.environ.get("FASHION_MNIST_TRAIN", "12000")),
    val=5_000,
)


def lenet5() -> nn.Module:
    """LeCun et al., Gradient-based learning applied to document recognition (1998), with ReLU."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


class Residual(nn.Module):
    """The basic block of He et al., Deep residual learning (2016)."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.skip = nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.body(x) + self.skip(x))


def small_resnet() -> nn.Module:
    """Three residual blocks of 16, 32 and 64 channels."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Residual(16, 16, 2),
        Residual(16, 32, 2),
        Residual(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


search = optnas.Search(
    space=optnas.MacroCNNSpace(
        data.input_shape,
        data.outputs,
        depth=(0, 5),
        channels=(8, 16, 24, 32, 48, 64),
        kernel_sizes=(3, 5),
        activations=("relu", "hard_swish"),
        pools=("none", "max", "stride"),
        # Few layers, and linear ones that see all pixels, are what makes LeNet-5 quick.
        heads=("mean", "flatten"),
        hidden=(0, 64, 128, 192, 256),
    ),
    evaluator=optnas.TrainingEvaluator(data, epochs=5, recipe=optnas.Recipe(learning_rate=0.01)),
    objectives=("val_accuracy", "flops", "params", "latency_ms"),
    constraints={"flops": 10e6},
    baselines={"LeNet-5": lenet5, "small ResNet": small_resnet},
    trials=40,
    seed=0,
)
