"""Which script a letter belongs to, from its name in Unicode: an LSTM with packed sequences."""

import random
import unicodedata

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

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


def evaluate(model, loader):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for texts, lengths, scripts in loader:
            logits = model(texts, lengths)
            total += nn.functional.cross_entropy(logits, scripts, reduction="sum").item()
    return total / len(loader.dataset)


def main():
    model = LSTMNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(3):
        model.train()
        for texts, lengths, scripts in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(texts, lengths), scripts)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(f"epoch {epoch}: val_loss {evaluate(model, val_loader):.4f}")
    print(f"test_loss {evaluate(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
