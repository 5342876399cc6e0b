"""A U-Net that finds discs in noise, with DataLoaders."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import optnas


class Discs(Dataset):
    """Noisy images of a disc, and where it is."""

    def __init__(self, size, seed, side=32):
        rng = torch.Generator().manual_seed(seed)
        grid = torch.arange(side, dtype=torch.float32)
        centres = torch.rand(size, 2, 1, 1, generator=rng) * side
        radii = 3 + 5 * torch.rand(size, 1, 1, generator=rng)
        distances = (grid[:, None] - centres[:, 0]) ** 2 + (grid - centres[:, 1]) ** 2
        self.masks = (distances < radii**2).float()[:, None]
        self.images = self.masks + 0.8 * torch.randn(size, 1, side, side, generator=rng)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.masks[index]


def double_conv(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, width=8, depth=2):
        super().__init__()
        widths = [width * 2**i for i in range(depth + 1)]
        self.stem = double_conv(1, width)
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip(widths, widths[1:]))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(widths, widths[1:])
        )
        self.merge = nn.ModuleList(double_conv(2 * a, a) for a in widths[:-1])
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        skips = [self.stem(x)]
        for down in self.down:
            skips.append(down(self.pool(skips[-1])))
        x = skips.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge)):
            x = merge(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)


train_loader = DataLoader(Discs(256, seed=0), batch_size=32, shuffle=True)
val_loader = DataLoader(Discs(64, seed=1), batch_size=64)
train_val = DataLoader(train_loader.dataset + val_loader.dataset, batch_size=32, shuffle=True)
test = DataLoader(Discs(64, seed=2), batch_size=64)
criterion = nn.BCEWithLogitsLoss()
loaders = optnas.Loaders(train_loader, val_loader, "regression", "discs", train_val, test)
recipe = optnas.Recipe("adam", learning_rate=3e-3, weight_decay=0.0, schedule="constant")
search = optnas.Search(
    space=optnas.ModelSpace(UNet, {"width": [4, 8], "depth": [1, 2]}, torch.zeros(1, 1, 32, 32)),
    evaluator=optnas.TrainingEvaluator(loaders, 3, recipe, loss=criterion, accuracy=False),
    objectives=("val_loss", "flops", "params", "latency_ms"),
)
