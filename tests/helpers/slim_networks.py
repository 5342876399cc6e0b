"""Small networks whose channels meet in many ways."""

import torch
from torch import nn
from torch.nn.functional import gelu, relu, scaled_dot_product_attention


def seeded(make, *args):
    """A network whose weights are the same at each call, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(*args).eval()


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + self.shortcut(x))


class Residual(nn.Module):
    """Images of shape (1, 8, 8); 8·2·2 features behind the flattening."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, 2, 1)
        self.block1, self.block2 = Block(4, 4), Block(4, 8, 2)
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.block2(self.block1(self.stem(x))).flatten(1))


class Concatenation(nn.Module):
    """Two branches of 4 and 6 channels, a depthwise and a grouped convolution."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 6, 1)
        self.bn = nn.BatchNorm2d(10)
        self.depthwise = nn.Conv2d(10, 10, 3, groups=10)
        self.c = nn.Conv2d(10, 8, 1)
        self.grouped = nn.Conv2d(8, 16, 1, groups=4)
        self.norm = nn.GroupNorm(8, 16)
        self.head = nn.Linear(16 * 36, 3)

    def forward(self, x):
        x = self.bn(torch.cat([self.a(x), self.b(x)], 1))
        x = self.norm(self.grouped(relu(self.c(self.depthwise(x)))))
        return self.head(x.flatten(1))


class Attention(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, width // num_heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dim))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """Tokens of shape (5, 6)."""

    def __init__(self, width=12):
        super().__init__()
        self.embedding = nn.Linear(6, width)
        self.position = nn.Parameter(torch.randn(1, 5, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, 3)
        self.up, self.down = nn.Linear(width, 8), nn.Linear(8, width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.embedding(x) + self.position
        x = x + self.attention(self.norm1(x))
        return self.head((x + self.down(gelu(self.up(self.norm2(x))))).mean(1))


class Shuffled(nn.Module):
    """Its own code counts the channels of `a`, and not those of `c`."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 1, groups=8)
        self.c, self.d = nn.Conv2d(8, 6, 1), nn.Conv2d(6, 3, 1)

    def forward(self, x):
        x = self.a(x).unflatten(1, (2, 4)).transpose(1, 2).flatten(1, 2)
        return self.d(self.c(self.b(x))).mean((2, 3))


class Rotary(nn.Module):
    """Grouped queries in rotary embeddings, whose halves change places: tokens of shape (5, 6)."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(6, 8), nn.Linear(6, 4), nn.Linear(6, 4)
        self.out, self.up, self.down = nn.Linear(8, 6), nn.Linear(6, 10), nn.Linear(10, 3)

    def turned(self, x):
        return 0.6 * x + 0.8 * torch.cat((-x[..., 2:], x[..., :2]), -1)

    def forward(self, x):
        layers = self.query, self.key, self.value
        q, k, v = (layer(x).unflatten(-1, (-1, 4)).transpose(1, 2) for layer in layers)
        k, v = (t.expand(-1, 2, -1, -1) for t in (self.turned(k), v))
        heads = scaled_dot_product_attention(self.turned(q), k, v).transpose(1, 2).flatten(2)
        return self.down(relu(self.up(self.out(heads))))


class Auxiliary(nn.Module):
    """Reads the inner channels a second time, in training alone."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.aux = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        x = self.a(x)
        return self.b(x) + self.aux(x) if self.training else self.b(x)


class Tied(nn.Module):
    """The head has the weights of the embedding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 6), nn.Linear(6, 7, bias=False)
        self.norm, self.mix = nn.RMSNorm(6), nn.Linear(6, 6)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        x = self.embedding(x)
        return self.head(self.norm(x + self.mix(x)))


def perceptron():
    return nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 12), nn.PReLU(12), nn.Linear(12, 3)
    )


IMAGE = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(1, 5, 6, generator=torch.Generator().manual_seed(0))
VECTOR = torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
