"""Trees or graphs with cycles: a graph network of PyTorch Geometric with three inputs."""

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GINConv, global_add_pool

import optnas


def random_graph(rng):
    """A random tree, or one with a few more edges."""
    nodes = int(torch.randint(8, 20, (1,), generator=rng))
    parents = [int(torch.randint(i, (1,), generator=rng)) for i in range(1, nodes)]
    edges = list(zip(range(1, nodes), parents))
    label = int(torch.randint(2, (1,), generator=rng))
    for _ in range(3 * label):
        edges.append(tuple(torch.randint(nodes, (2,), generator=rng).tolist()))
    edge_index = torch.tensor(edges).T
    edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    degree = torch.bincount(edge_index[0], minlength=nodes).float()
    return Data(x=torch.stack([torch.ones(nodes), degree], 1), edge_index=edge_index, y=label)


class GIN(nn.Module):
    def __init__(self, hidden=16, layers=2):
        super().__init__()
        sizes = [2] + layers * [hidden]
        self.convs = nn.ModuleList(
            GINConv(nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, b)))
            for a, b in zip(sizes, sizes[1:])
        )
        self.head = nn.Linear(hidden, 2)

    def forward(self, x, edge_index, batch):
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return self.head(global_add_pool(x, batch))


rng = torch.Generator().manual_seed(0)
graphs = [random_graph(rng) for _ in range(600)]
train_loader = DataLoader(graphs[200:], batch_size=32, shuffle=True)
val_loader = DataLoader(graphs[:100], batch_size=100)
test_loader = DataLoader(graphs[100:200], batch_size=100)
train_val = DataLoader(graphs[:100] + graphs[200:], batch_size=32, shuffle=True)
loaders = optnas.Loaders(train_loader, val_loader, "classification", "g", train_val, test_loader)
one = tuple(next(iter(DataLoader(graphs[:1])))[key] for key in ("x", "edge_index", "batch"))


def step(model, data):
    return model(data.x, data.edge_index, data.batch), data.y


recipe = optnas.Recipe("adam", learning_rate=1e-2, weight_decay=0.0, schedule="constant")
search = optnas.Search(
    space=optnas.ModelSpace(GIN, {"hidden": [8, 16, 32], "layers": [1, 2, 3]}, one),
    evaluator=optnas.TrainingEvaluator(loaders, 4, recipe, step=step),
    objectives=("val_loss", "flops", "params", "latency_ms"),
)
