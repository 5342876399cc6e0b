"""Ten networks of timm and transformers: counts, memory, export and latency of real code.

    pip install torch timm transformers fvcore 'optnas[onnx]'
    python benchmarks/real_networks.py

All networks have random weights, so that nothing is downloaded. Multiply-accumulates and parameters
are compared with fvcore, of whose operations only products are added up (`PRODUCTS`), and those of
four transformers with a closed form too. fvcore can't count fused attention, so it gets the same
network with attention written out. Each network is exported to ONNX for batches of any size, for
one example if that fails, and its outputs are compared in ONNX Runtime; latencies have one thread
and one example.

A package that isn't installed skips its networks, with the reason. timm and transformers import
torchvision; where that was built for another PyTorch, two of its operators don't exist, and
`package` declares them. No network here calls them.
"""

import gc
import importlib
import json
import platform
import re
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optnas.candidate import Candidate
from optnas.export.agreement import agree
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.metrics import Latency, PeakActivation, PeakMemory
from optnas.metrics.counting import count_pass
from optnas.metrics.params import count_params
from optnas.utils.inputs import Inputs, in_order
from optnas.utils.network import Network, first_line, runner

DECLARED = torch.library.Library("torchvision", "FRAGMENT")
RESULTS = Path(__file__).parent / "results" / "real_networks.json"
PRODUCTS = ("conv", "linear", "matmul", "bmm", "mm", "addmm", "baddbmm", "einsum")
"""fvcore's operations that the definition of macs counts; normalisation and pooling it doesn't."""
WORDS, CLASSES = 64, 1000
IMAGE = torch.zeros(1, 3, 224, 224)
TEXT = {
    "input_ids": torch.arange(WORDS)[None],
    "attention_mask": torch.ones(1, WORDS, dtype=torch.long),
}


def package(name: str) -> Any:
    """A package that imports torchvision, also if that was built for another PyTorch."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        pass
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for operator in ("nms", "qnms"):
            DECLARED.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        importlib.import_module("torchvision")
    return importlib.import_module(name)


def of_timm(name: str) -> Callable[[bool], nn.Module]:
    """A network of timm; its attention is fused or written out."""

    def build(fused: bool) -> nn.Module:
        timm = package("timm")
        timm.layers.set_fused_attn(fused)
        return timm.create_model(name, pretrained=False, num_classes=CLASSES)

    return build


def of_transformers(kind: str, config: str, **settings: Any) -> Callable[[bool], nn.Module]:
    """A network of transformers, made from a configuration."""

    def build(fused: bool) -> nn.Module:
        transformers = package("transformers")
        made = getattr(transformers, config)(
            **settings, attn_implementation="sdpa" if fused else "eager"
        )
        if "use_cache" in made.to_dict():
            made.use_cache = False
        return getattr(transformers, kind)(made)

    return build


def transformer_macs(
    layers: int, width: int, inner: int, *, matrices: int = 2, head: int = 0
) -> int:
    """Layers of attention and an MLP over `WORDS` words, each with the whole row of scores.

    Args:
        layers: Their number.
        width: The width of the network.
        inner: The width inside the MLP.
        matrices: The matrices of the MLP: 2, or 3 with a gate.
        head: Products after the last layer.
    """
    attention = 4 * WORDS * width**2 + 2 * WORDS**2 * width
    return layers * (attention + matrices * WORDS * width * inner) + head


@dataclass(frozen=True)
class Case:
    """A network: how it is built (with fused attention or without), inputs, and a closed form."""

    build: Callable[[bool], nn.Module]
    inputs: Inputs
    macs: int | None = None


BERT = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}  # BERT-mini
LLAMA = {
    "vocab_size": 32_000,
    "hidden_size": 288,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
}
CASES: dict[str, Case] = {
    "ResNet-50": Case(of_timm("resnet50"), IMAGE),
    "MobileNetV3 large": Case(of_timm("mobilenetv3_large_100"), IMAGE),
    "EfficientNet-B0": Case(of_timm("efficientnet_b0"), IMAGE),
    "ConvNeXt tiny": Case(of_timm("convnext_tiny"), IMAGE),
    "ViT small": Case(of_timm("vit_small_patch16_224"), IMAGE),
    "Swin tiny": Case(of_timm("swin_tiny_patch4_window7_224"), IMAGE),
    "BERT mini": Case(
        of_transformers("BertForSequenceClassification", "BertConfig", **BERT),
        TEXT,
        transformer_macs(4, 256, 1024, head=256 * 256 + 256 * 2),
    ),
    "GPT-2, 6 layers": Case(
        of_transformers("GPT2LMHeadModel", "GPT2Config", n_layer=6),
        TEXT,
        transformer_macs(6, 768, 3072, head=WORDS * 768 * 50_257),
    ),
    "Llama, 15 M": Case(
        of_transformers("LlamaForCausalLM", "LlamaConfig", **LLAMA),
        TEXT,
        transformer_macs(6, 288, 768, matrices=3, head=WORDS * 288 * 32_000),
    ),
    "T5 small": Case(
        of_transformers("T5ForConditionalGeneration", "T5Config"),
        {**TEXT, "decoder_input_ids": torch.arange(WORDS)[None]},
        transformer_macs(6, 512, 2048)  # and the decoder, with a second attention
        + transformer_macs(6, 512, 2048, head=WORDS * 512 * 32_128)
        + transformer_macs(6, 512, 0),
    ),
}


class ByPosition(nn.Module):
    """Takes inputs by position and returns the first output, as fvcore wants."""

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.model = model
        self.names = None if isinstance(inputs, Tensor) else list(inputs)

    def forward(self, *tensors: Tensor) -> Tensor:
        if self.names is None:
            return self.model(*tensors)
        return self.model(**dict(zip(self.names, tensors, strict=True)))[0]


def by_fvcore(case: Case) -> dict[str, int]:
    """Multiply-accumulates of products, and parameters."""
    nn_count = importlib.import_module("fvcore.nn")
    model = case.build(False).eval()
    wrapped = ByPosition(model, case.inputs)
    counted = nn_count.FlopCountAnalysis(wrapped, in_order(case.inputs))
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    found = counted.by_operator()
    return {
        "macs": int(sum(found[name] for name in PRODUCTS)),
        "params": int(nn_count.parameter_count(model)[""]),
    }


def exported(model: nn.Module, inputs: Inputs) -> dict[str, Any]:
    """Whether ONNX Runtime agrees, and for which batches; else why not."""
    reasons = {}
    for batch_size in (None, 1):
        sizes = (1, 2, 3) if batch_size is None else (1,)
        try:
            batch, real = examples(None, inputs, max(sizes))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                FORMATS["onnx"].write(Network(model, inputs, batch_size), path, {})
                run = FORMATS["onnx"].load(path, lambda: model)
                found = agree(runner(model), run, batch, real, sizes)
        except Exception as error:
            reasons["any" if batch_size is None else "one"] = reason(error)
        else:
            batches = "any" if batch_size is None else "one"
            return {"batches": batches, "difference": found.difference, "refused": reasons}
    return {"batches": "none", "refused": reasons}


def measured(case: Case) -> dict[str, Any]:
    """All that is known of one network."""
    torch.manual_seed(0)
    candidate = Candidate("", case.inputs, lambda: case.build(True))
    model = candidate.model.eval()
    count = count_pass(model, case.inputs)
    found: dict[str, Any] = {
        "macs": count.macs,
        "params": count_params(model),
        "not_counted": list(count.unknown),
        "closed_form": case.macs,
        "peak_memory_mb": PeakMemory().measure(candidate),
        "peak_activation_mb": PeakActivation().measure(candidate),
    }
    found["fvcore"] = attempt(lambda: by_fvcore(case))
    found["onnx"] = exported(model, case.inputs)
    for runtime in ("torch", "onnxruntime"):
        latency = Latency(device="cpu", max_seconds=1.0, runtime=runtime)
        found[f"latency_ms_{runtime}"] = attempt(lambda latency=latency: latency.measure(candidate))
    return found


def attempt(measure: Callable[[], Any]) -> Any:
    """The result, or the reason why there is none."""
    try:
        return measure()
    except ModuleNotFoundError as error:
        return f"skipped: {error}"
    except Exception as error:
        return f"failed: {reason(error)}"


def reason(error: Exception) -> str:
    """The first line of an error, without the colours that PyTorch's exporter adds."""
    return re.sub(r"\x1b\[\d*m", "", first_line(error))


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    networks = {}
    for name, case in CASES.items():
        networks[name] = attempt(lambda case=case: measured(case))
        print(name, json.dumps(networks[name]), flush=True)
        gc.collect()
    packages = ("torch", "timm", "transformers", "fvcore", "onnxruntime")
    versions = {name: attempt(lambda name=name: version(name)) for name in packages}
    facts = {"machine": f"{platform.machine()}, {torch.get_num_threads()} thread", **versions}
    RESULTS.write_text(json.dumps({"facts": facts, "networks": networks}, indent=1) + "\n")


if __name__ == "__main__":
    main()
