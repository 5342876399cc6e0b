"""An FT-Transformer for tables of numbers and categories (Gorishniy et al., 2021)."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

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


def parameter_groups(model):
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": 1e-3}, {"params": others, "weight_decay": 0.0}]


def main():
    model = FTTransformer()
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=3e-3)
    for epoch in range(3):
        model.train()
        for numbers, categories, targets in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(numbers, categories), targets)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses = [nn.functional.mse_loss(model(n, c), t) for n, c, t in val_loader]
        val_loss = torch.stack(losses).mean().item()
        print(f"epoch {epoch}: val_loss {val_loss:.4f}")


if __name__ == "__main__":
    main()
