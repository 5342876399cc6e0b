"""The networks of train.py, trained by train.py as it is."""

from pathlib import Path

import torch
from train import MLP

import optnas

search = optnas.Search(
    space=optnas.ModelSpace(MLP, {"hidden": [16, 64], "layers": [1, 2]}, torch.zeros(1, 64)),
    evaluator=optnas.CommandEvaluator(
        "python train.py --hidden={hidden} --layers={layers} --seed={seed} --out={folder}",
        {"val_loss": ("minimize", r"val loss (\S+)")},
        weights="{folder}/model.pt",
        cwd=Path(__file__).parent,
    ),
    objectives=("val_loss", "flops", "params", "latency_ms"),
)
