"""Handwritten digits with a model of timm."""

import torch
from sklearn.datasets import load_digits
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import AverageMeter, accuracy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas.integrations.timm

images, labels = load_digits(return_X_y=True)
images = torch.tensor(images / 8 - 1, dtype=torch.float32).reshape(-1, 1, 8, 8)
images, labels = nn.functional.interpolate(images, size=32), torch.tensor(labels)
train_loader = DataLoader(TensorDataset(images[:1000], labels[:1000]), 50, shuffle=True)
val_loader = DataLoader(TensorDataset(images[1000:], labels[1000:]), 200)
EPOCHS = 2


def train_one_epoch(model, optimizer, scheduler, epoch):
    model.train()
    criterion = LabelSmoothingCrossEntropy(0.1)
    for step, (x, y) in enumerate(train_loader):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
        scheduler.step_update(epoch * len(train_loader) + step)


@torch.no_grad()
def validate(model):
    model.eval()
    losses, top1 = AverageMeter(), AverageMeter()
    for x, y in val_loader:
        output = model(x)
        losses.update(nn.functional.cross_entropy(output, y).item(), len(y))
        top1.update(accuracy(output, y)[0].item(), len(y))
    return {"loss": losses.avg, "top1": top1.avg}


def main(model, recipe, report):
    optimizer = create_optimizer_v2(model, opt="adamw", lr=3e-3, weight_decay=0.02)
    steps = EPOCHS * len(train_loader)
    scheduler = CosineLRScheduler(optimizer, steps, warmup_t=5, t_in_epochs=False)
    for epoch in range(EPOCHS):
        train_one_epoch(model, optimizer, scheduler, epoch)
        metrics = validate(model)
        report(epoch, {"val_loss": metrics["loss"]})
        print(f"epoch {epoch}: loss {metrics['loss']:.4f}, top1 {metrics['top1']:.1f} %")


MODELS = ["mobilenetv3_small_050", "mobilenetv4_conv_small_050", "resnet10t"]
search = optnas.Search(
    space=optnas.integrations.timm.model_space(MODELS, (1, 32, 32), num_classes=10),
    evaluator=main,
    objectives=dict.fromkeys(("val_loss", "flops", "params", "latency_ms"), "minimize"),
)
