"""A search space of the ranks of low-rank adapters.

Source: Hu et al., LoRA: low-rank adaptation of large language models, ICLR 2022 (arXiv 2106.09685).
They give all adapted matrices one rank; here each has its own, as in AutoLoRA (Zhang et al., NAACL
2024, arXiv 2403.09113), and 0 leaves it as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from optuna.trial import BaseTrial
from torch import nn

from optnas.candidate import copy_of, materialize
from optnas.errors import InputError
from optnas.search_spaces.abilities import Encodable
from optnas.search_spaces.base import SearchSpace
from optnas.search_spaces.checks import check_choices, check_sizes
from optnas.search_spaces.encoding import encode
from optnas.search_spaces.lora.layers import LoRALinear, freeze_statistics, replaced, sizes
from optnas.search_spaces.lora.patterns import as_patterns, linear_layers, parameters_of
from optnas.utils.checks import check_numbers
from optnas.utils.code_hash import callable_name, code_hash
from optnas.utils.inputs import Inputs, call, checked_inputs, copied
from optnas.utils.random_state import preserved


@dataclass(frozen=True)
class LoRAArchitecture:
    """The rank of each adapter, by the name of its layer.

    Attributes:
        ranks: Pairs of name and rank, in the network's order, without those of rank 0.
    """

    ranks: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return "lora " + (" ".join(f"{name}:{rank}" for name, rank in self.ranks) or "none")


class LoRASpace(SearchSpace[LoRAArchitecture], Encodable[LoRAArchitecture]):
    """Low-rank adapters of a given, trained network: each layer's rank is searched.

    `build` gives a copy of the network with its weights, in which nothing is trained but the
    adapters, and what `train` names: batch normalisation keeps its statistics, in training too,
    unless `train` names all of it. Adapters have fresh weights, and add nothing at first. A
    network with ranks r of layers with m inputs and n outputs has Σ r·(m + n) trainable parameters
    in its adapters (objective `trainable_params`), and as many MACs more at each position than the
    one that was given. `merge_adapters` adds them to the layers' weights when the search is over.

    A study resumes only with the same network: the space's fingerprint has a hash of its weights.
    So a study file reads them from a file, or trains them in the same way each time.

    Parameters: `NAME.rank` for each layer. A rank above the layer's inputs or outputs isn't
    offered.

    Example:
        ```python
        import torch
        from torch import nn

        import optnas

        trained = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        trained[2] = nn.Linear(32, 3)  # a new head for another task, which is trained as a whole
        space = optnas.LoRASpace(
            trained, torch.zeros(1, 64), targets="0", ranks=(0, 2, 4), train="2"
        )
        ```

    Args:
        model: The network; the space has a copy, on the CPU.
        example_inputs: One batch element with the batch dimension (of size 1) first.
        targets: Names of linear layers (`nn.Linear`, and `Conv1D` of transformers), or patterns of
            names with `*`, `?` and `[…]`. A pattern matches a whole name, or its end after a dot:
            `query` matches `encoder.layer.0.attention.query`, and `*` all linear layers. PEFT calls
            them `target_modules`.
        ranks: The choices for each layer; 0 gives it no adapter. With one choice, it is fixed.
            PEFT's `r`.
        alpha: An adapter's output is multiplied by `alpha / rank`. PEFT's `lora_alpha`.
        train: Names or patterns of modules and parameters that are trained as a whole, such as a
            new head (`head`) or all biases (`*.bias`). PEFT's `modules_to_save`.

    Raises:
        TypeError: `model` is no module, or a pattern no text.
        ValueError: A rank or `alpha` is out of range.
        InputError: A pattern matches nothing, a layer is both a target and trained, no rank fits a
            layer, or a layer isn't called when the network runs.
    """

    def __init__(
        self,
        model: nn.Module,
        example_inputs: Inputs,
        targets: str | Sequence[str],
        ranks: Sequence[int] = (0, 2, 4, 8, 16),
        alpha: float = 16.0,
        train: str | Sequence[str] = (),
    ) -> None:
        check_choices("ranks", ranks)
        check_numbers(alpha=alpha)
        self._ranks = tuple(ranks)
        check_sizes("ranks", self._ranks, 0)
        if self._ranks == (0,):
            raise ValueError(f"ranks must be numbers of which one is above 0, got {self._ranks}")
        if not 0 < alpha < float("inf"):
            raise ValueError(f"alpha must be above 0, got {alpha}")
        self._alpha = alpha
        self._example_inputs = checked_inputs(example_inputs)
        self._patterns = as_patterns("targets", targets)
        self._train = as_patterns("train", train)
        self._model = copy_of(model).cpu()
        materialize(self._model, self._example_inputs)
        layers = linear_layers(self._model, self._patterns)
        self._trained = parameters_of(self._model, self._train)
        for parameter in self._model.parameters():
            parameter.requires_grad_(False)
        self._choices = {name: self._ranks_of(name, layer) for name, layer in layers.items()}
        trained = {self._model.get_parameter(name) for name in self._trained}
        for name, layer in layers.items():
            own = [f"{name}.{n}".lstrip(".") for n, p in layer.named_parameters() if p in trained]
            if own:
                raise InputError(
                    f"train names {', '.join(sorted(own))}, maybe by another name of the same "
                    f"weight, and so the layer {name!r} would be trained, and have an adapter too: "
                    "leave it out of train, or out of targets"
                )
        self._check_calls()
        self._weights = code_hash(dict(self._model.state_dict()))
        # Here, where the file is as it was imported.
        self._code = code_hash(self._model)

    def _ranks_of(self, name: str, layer: nn.Module) -> tuple[int, ...]:
        """The ranks that a layer may have."""
        most = min(sizes(layer))
        found = tuple(rank for rank in self._ranks if rank <= most)
        if not any(found):
            raise InputError(
                f"ranks {self._ranks} are too large for the layer {name!r}, which has "
                f"{' inputs and '.join(map(str, sizes(layer)))} outputs: give a rank of at most "
                f"{most}, or leave it out of targets"
            )
        return found

    @torch.no_grad()
    def _check_calls(self) -> None:
        """Raises InputError if an adapter would be without effect."""
        with preserved():
            model = self.build(
                LoRAArchitecture(tuple((n, max(r)) for n, r in self._choices.items()))
            )
        called: set[nn.Module] = set()
        adapted = {n: m for n, m in model.named_modules() if isinstance(m, LoRALinear)}
        for module in adapted.values():
            module.lora_A.register_forward_hook(lambda a, *_: called.add(a))
        call(model.eval(), copied(self._example_inputs))
        idle = [name for name, module in adapted.items() if module.lora_A not in called]
        if idle:
            raise InputError(
                f"an adapter of {', '.join(idle)} would have no effect, because the network isn't "
                "seen to call it with example_inputs: other code may read its weights instead; "
                "leave it out of targets"
            )

    @property
    def example_inputs(self) -> Inputs:
        """The given example inputs."""
        return self._example_inputs

    def suggest(self, trial: BaseTrial) -> LoRAArchitecture:
        """Draws the rank of each layer."""
        ranks = {
            name: trial.suggest_categorical(_parameter(name), choices)
            if len(choices) > 1
            else choices[0]
            for name, choices in self._choices.items()
        }
        return LoRAArchitecture(tuple((name, rank) for name, rank in ranks.items() if rank))

    def uniform(self, rank: int) -> LoRAArchitecture:
        """The network in which all layers have one rank, as without a search; for baselines."""
        return LoRAArchitecture(tuple((name, rank) for name in self._choices if rank))

    def params_of(self, architecture: LoRAArchitecture) -> dict[str, Any]:
        """See `Encodable`."""
        none = dict.fromkeys(map(_parameter, self._choices), 0)
        return encode(
            self.suggest, architecture, lambda a: none | {_parameter(n): r for n, r in a.ranks}
        )

    def build(self, architecture: LoRAArchitecture) -> nn.Module:
        """Makes a copy of the network, with new adapters.

        A layer `NAME` with an adapter is a `LoRALinear`: `NAME.base_layer` is the layer as it was,
        `NAME.lora_A` and `NAME.lora_B` are trained.
        """
        model = copy.deepcopy(self._model)
        for name in self._trained:
            model.get_parameter(name).requires_grad_()
        freeze_statistics(model)
        adapted: dict[nn.Module, nn.Module] = {}
        for name, rank in architecture.ranks:
            layer = model.get_submodule(name)
            adapted[layer] = LoRALinear(layer, rank, self._alpha)
        return replaced(model, adapted).train()

    @property
    def code(self) -> str:
        """A hash of the network: its classes, settings and weights."""
        return self._code

    def __repr__(self) -> str:
        return (
            f"LoRASpace({callable_name(type(self._model))} with weights {self._weights}, "
            f"targets={self._patterns}, ranks={self._ranks}, alpha={self._alpha:g}, "
            f"train={self._train})"
        )


def _parameter(layer: str) -> str:
    """The name of a layer's parameter in a trial; a network may be one layer, without a name."""
    return f"{layer}.rank" if layer else "rank"
