"""Which script a letter belongs to, from its name in Unicode: an LSTM with packed sequences."""

import random
import unicodedata

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

import optnas

SCRIPTS = ["LATIN", "GREEK", "CYRILLIC", "ARABIC"]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ -0123456789"


def read_names():
    names = []
    for code in range(0x800):
        words = unicodedata.name(chr(code), "").split()
        if len(words) > 1 and words[0] in SCRIPTS:
            text = [ALPHABET.index(c) + 1 for c in " ".join(words[1:])]
            names.append((torch.tensor(text), SCRIPTS.index(words[0])))
    random.Random(0).shuffle(names)
    return names


def collate(batch):
    texts, scripts = zip(*batch)
    lengths = torch.tensor([len(text) for text in texts])
    return pad_sequence(texts, batch_first=True), lengths, torch.tensor(scripts)


class LSTMNet(nn.Module):
    def __init__(self, hidden=32, layers=1, embedding=16):
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET) + 1, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, len(SCRIPTS))

    def forward(self, texts, lengths):
        packed = pack_padded_sequence(
            self.embedding(texts), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, (state, _) = self.lstm(packed)
        return self.head(torch.cat([state[-2], state[-1]], dim=1))


names = read_names()
train_loader = DataLoader(names[400:], batch_size=32, shuffle=True, collate_fn=collate)
val_loader = DataLoader(names[:200], batch_size=100, collate_fn=collate)
test_loader = DataLoader(names[200:400], batch_size=100, collate_fn=collate)
train_val = DataLoader(names[:200] + names[400:], batch_size=32, shuffle=True, collate_fn=collate)
loaders = optnas.Loaders(train_loader, val_loader, "classification", "text", train_val, test_loader)
recipe = optnas.Recipe("adam", 5e-3, weight_decay=0.0, schedule="constant", max_grad_norm=1.0)
search = optnas.Search(
    space=optnas.ModelSpace(LSTMNet, {"hidden": [8, 32], "layers": [1, 2]}, collate(names[:1])[:2]),
    evaluator=optnas.TrainingEvaluator(loaders, 3, recipe, step=lambda m, b: (m(*b[:2]), b[2])),
    objectives=("val_loss", "flops", "params", "latency_ms"),
)
