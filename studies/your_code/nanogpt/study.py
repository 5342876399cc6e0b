"""The networks of model.py, trained by train.py as it is."""

from pathlib import Path

import torch
from model import GPT, GPTConfig

import optnas

search = optnas.Search(
    space=optnas.ModelSpace.from_config(
        GPTConfig,
        {"n_layer": [1, 2, 3], "n_embd": [16, 32]},
        GPT,
        torch.zeros(1, 32, dtype=torch.long),
    ),
    evaluator=optnas.CommandEvaluator(
        "python train.py --n_layer={n_layer} --n_embd={n_embd} --seed={seed} --out_dir={folder}",
        {"val_loss": ("minimize", r"step \d+: .*val loss (\S+)")},
        step=r"step (\d+):",
        epoch="best",
        weights=("{folder}/ckpt.pt", "model"),
        cwd=Path(__file__).parent,
    ),
    objectives=("val_loss", "flops", "params", "latency_ms"),
)
