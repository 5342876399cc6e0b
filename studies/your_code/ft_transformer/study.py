"""An FT-Transformer for tables of numbers and categories (Gorishniy et al., 2021)."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas

CARDINALITIES = [4, 7, 3]
NUMBERS = 6


class FTTransformer(nn.Module):
    def __init__(self, width=16, blocks=2, heads=2, dropout=0.1):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(NUMBERS, width) * 0.1)
        self.shift = nn.Parameter(torch.randn(NUMBERS + len(CARDINALITIES), width) * 0.1)
        self.categories = nn.ModuleList(nn.Embedding(n, width) for n in CARDINALITIES)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, numbers, categories):
        tokens = [numbers[:, :, None] * self.scale]
        tokens += [e(categories[:, i : i + 1]) for i, e in enumerate(self.categories)]
        tokens = torch.cat(tokens, dim=1) + self.shift
        tokens = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], dim=1)
        return self.head(self.encoder(tokens)[:, 0]).squeeze(1)


def make_data(rows, seed):
    rng = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, NUMBERS, generator=rng)
    columns = [torch.randint(n, (rows,), generator=rng) for n in CARDINALITIES]
    targets = numbers[:, 0] * (columns[0] - 1.5) + numbers[:, 1] ** 2 + 0.5 * columns[2]
    return TensorDataset(numbers, torch.stack(columns, dim=1), targets)


train_set, val_set = make_data(1500, seed=0), make_data(300, seed=1)
train_loader = DataLoader(train_set, batch_size=100, shuffle=True)
val_loader = DataLoader(val_set, batch_size=300)
train_val = DataLoader(train_set + val_set, batch_size=100, shuffle=True)
test = DataLoader(make_data(300, seed=2), batch_size=300)
loaders = optnas.Loaders(train_loader, val_loader, "regression", "table", train_val, test)


def parameter_groups(model):
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": 1e-3}, {"params": others, "weight_decay": 0.0}]


recipe = optnas.Recipe(lambda m: torch.optim.AdamW(parameter_groups(m), 3e-3), schedule="constant")
search = optnas.Search(
    space=optnas.ModelSpace(FTTransformer, {"width": [8, 16], "blocks": [1, 2]}, val_set[:1][:2]),
    evaluator=optnas.TrainingEvaluator(loaders, 3, recipe, step=lambda m, b: (m(*b[:2]), b[2])),
    objectives=("val_loss", "flops", "params", "latency_ms"),
)
