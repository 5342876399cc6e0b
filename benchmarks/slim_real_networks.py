"""31 networks of timm and transformers, made slimmer: do they run, count and export?

    pip install torch timm transformers 'optnas[slim,onnx]'
    python benchmarks/slim_real_networks.py [--networks 20] [--exports 20] [--only resnet18]

All have random weights, so that nothing is downloaded, and random scales and biases (those that
begin at zero switch blocks off). Images have 64×64 pixels, texts 16 words. Random networks of the
`SlimSpace` of each are built and run on two examples, and their multiply-accumulates are counted:
no more than the original's, and of no unknown operation that the original doesn't have. The first
ones (`--exports`) are exported to ONNX for batches of any size, and outputs for 1, 2 and 3 examples
are compared in ONNX Runtime; for one example alone if no more can be exported.

Writes benchmarks/results/slim_real_networks.csv, a row a network; a later call runs what is
missing. A package that isn't installed skips its networks, with the reason.
"""

import argparse
import csv
import gc
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from real_networks import attempt, exported, of_transformers, package, reason
from torch import nn

import optnas
from optnas.metrics.counting import count_pass
from optnas.utils.draft import Draft
from optnas.utils.inputs import Inputs, batch_of, call
from optnas.utils.trees import tensors_in

RESULTS = Path(__file__).parent / "results" / "slim_real_networks.csv"
IMAGE = torch.zeros(1, 3, 64, 64)
TEXT = {
    "input_ids": torch.arange(16)[None],
    "attention_mask": torch.ones(1, 16, dtype=torch.long),
}
SMALL = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
BERT = SMALL | {"intermediate_size": 64}
Case = tuple[Callable[[bool], nn.Module], Inputs]
TIMM = (
    "resnet18", "resnet26", "resnext26ts", "seresnext26d_32x4d", "vgg11_bn", "semnasnet_075",
    "mobilenetv2_050", "mobilenetv3_small_050", "mnasnet_small", "efficientnet_lite0",
    "efficientnet_b0", "tinynet_e", "lcnet_050", "regnetx_002", "regnety_002", "repvgg_a0",
    "ghostnet_050", "dla46_c", "convnext_atto", "convnextv2_atto", "edgenext_xx_small",
    "poolformer_s12", "spnasnet_100",
)  # fmt: skip


def of_timm(name: str, **settings: Any) -> Callable[[bool], nn.Module]:
    return lambda fused: package("timm").create_model(name, num_classes=10, **settings)


CASES: dict[str, Case] = {
    "vit_tiny_patch16_224": (of_timm("vit_tiny_patch16_224", img_size=64), IMAGE),
    "mixer_s16_224": (of_timm("mixer_s16_224", img_size=64), IMAGE),
    "BERT": (of_transformers("BertForSequenceClassification", "BertConfig", **BERT), TEXT),
    "RoBERTa": (of_transformers("RobertaForSequenceClassification", "RobertaConfig", **BERT), TEXT),
    "GPT-2": (
        of_transformers(
            "GPT2LMHeadModel", "GPT2Config", vocab_size=100, n_embd=32, n_layer=2, n_head=4
        ),
        TEXT,
    ),
    "Llama": (of_transformers("LlamaForCausalLM", "LlamaConfig", **BERT), TEXT),
    "T5": (
        of_transformers(
            "T5ForConditionalGeneration", "T5Config",
            vocab_size=100, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        ),
        TEXT | {"decoder_input_ids": torch.arange(16)[None]},
    ),
    "ViT of transformers": (
        of_transformers(
            "ViTForImageClassification", "ViTConfig",
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            image_size=64, patch_size=16,
        ),
        IMAGE,
    ),
}  # fmt: skip
CASES |= {name: (of_timm(name), IMAGE) for name in TIMM}


def with_effect(model: nn.Module) -> nn.Module:
    """Changes what begins at zero, which switches blocks or the head off, and scales and biases."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape))
            elif not parameter.any():
                parameter.normal_(std=parameter[0].numel() ** -0.5)
    return model


def row(case: Case, networks: int, exports: int) -> dict[str, Any]:
    """What is known of one network, and of the slimmer ones."""
    started = time.process_time()
    torch.manual_seed(0)
    build, inputs = case
    given = with_effect(build(True)).eval()
    space = optnas.SlimSpace(given, inputs)
    whole = count_pass(given, inputs)
    found: dict[str, Any] = {
        "groups": len(space.params_of(space.uniform(1.0))),
        "left_alone": len(space.left_alone),
        "seconds_to_make": round(time.process_time() - started, 1),
        "built": 0,
        "ran": 0,
        "counted": 0,
        "exported": 0,
    }
    share, worst, batches, why = 1.0, 0.0, set(), ""
    rng = Random(0)
    for number in range(networks):
        step = "built"
        try:
            slim = space.build(space.suggest(Draft({}, rng))).eval()
            found[step] += 1
            step = "ran"
            outputs = call(slim, batch_of(inputs, 2))
            assert all(t.isfinite().all() for t in tensors_in(outputs)), "outputs aren't finite"
            found[step] += 1
            step = "counted"
            count = count_pass(slim, inputs)
            assert 0 < count.macs <= whole.macs, f"{count.macs} MACs of {whole.macs}"
            assert set(count.unknown) <= set(whole.unknown), f"unknown: {count.unknown}"
            found[step] += 1
            share = min(share, count.macs / whole.macs)
            if number < exports:
                step = "exported"
                export = exported(slim, inputs)
                batches.add(export["batches"])
                assert export["batches"] != "none", export["refused"]
                found[step] += 1
                worst = max(worst, export["difference"])
        except Exception as error:
            why = why or f"{number} not {step}: {reason(error)}"
    return found | {
        "exports_tried": min(networks, exports),
        "batches": " ".join(sorted(batches)),
        "worst_difference": f"{worst:.1e}",
        "least_share_of_macs": round(share, 3),
        "seconds": round(time.process_time() - started),
        "why": why,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--exports", type=int, default=20)
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    wanted = {"networks": str(options.networks), "exports": str(options.exports)}
    rows = [found for found in saved() if wanted.items() <= found.items()]
    done = {found["network"] for found in rows}
    for name in options.only:
        if name in done:
            continue
        found = attempt(lambda name=name: row(CASES[name], options.networks, options.exports))
        found = found if isinstance(found, dict) else {"why": found}
        rows.append({"network": name} | wanted | found)
        print(rows[-1], flush=True)
        write(rows)
        gc.collect()


def saved() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows: list[dict[str, Any]]) -> None:
    columns = max((list(found) for found in rows), key=len)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
