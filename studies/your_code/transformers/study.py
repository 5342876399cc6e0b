"""Which module of the standard library a sentence documents, with transformers' Trainer."""

import argparse
import asyncio
import logging
import pydoc
import random
import tarfile

import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

import optnas.integrations.transformers

MODULES = [argparse, asyncio, logging, tarfile]
LENGTH = 64


class Sentences(Dataset):
    """Lines of the modules' documentation, byte by byte."""

    def __init__(self, lines):
        self.lines = lines

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        line, label = self.lines[index]
        ids = [1 + byte % 255 for byte in line.encode()[:LENGTH]]
        padding = LENGTH - len(ids)
        return {
            "input_ids": torch.tensor(ids + padding * [0]),
            "attention_mask": torch.tensor(len(ids) * [1] + padding * [0]),
            "labels": label,
        }


def read_lines():
    lines = []
    for label, module in enumerate(MODULES):
        text = pydoc.render_doc(module, renderer=pydoc.plaintext)
        lines += [(line.strip(" |"), label) for line in text.splitlines() if len(line) > 40][:250]
    random.Random(0).shuffle(lines)
    return lines


def compute_metrics(prediction):
    return {"accuracy": (prediction.predictions.argmax(1) == prediction.label_ids).mean().item()}


lines = read_lines()
train_set, val_set = Sentences(lines[200:]), Sentences(lines[:200])


def build_model(hidden=32, layers=2):
    config = BertConfig(
        vocab_size=256,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=LENGTH,
        num_labels=len(MODULES),
    )
    return BertForSequenceClassification(config)


def main(model, recipe, report):
    arguments = TrainingArguments(
        "out",
        num_train_epochs=2,
        per_device_train_batch_size=32,
        learning_rate=1e-3,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        use_cpu=True,
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=train_set,
        eval_dataset=val_set,
        compute_metrics=compute_metrics,
        callbacks=[optnas.integrations.transformers.Reporter(report)],
    )
    trainer.train()


example = {"input_ids": torch.ones(1, LENGTH, dtype=torch.long)}
search = optnas.Search(
    space=optnas.ModelSpace(build_model, {"hidden": [16, 32], "layers": [1, 2]}, example),
    evaluator=main,
    objectives=dict.fromkeys(("val_loss", "flops", "params", "latency_ms"), "minimize"),
)
