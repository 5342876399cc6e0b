"""The training of a relaxed network (see `optnas.samplers.gradient` for the sources).

Outline of an epoch, for each pair of batches, one from each half of the training part:
1. A preference is drawn. The hypernetwork makes logits of it. Decisions that aren't relaxed are
   drawn from the softmax of theirs, which gives a network (`networks`); its weights are slices of
   shared tensors.
2. The batch of the one half is for the logits: its loss and the expected costs (`costs`), weighted
   by the preference. Relaxed decisions get their gradient, the others that of REINFORCE.
3. With another preference, the batch of the other half is for the weights.

After the last epoch, `proposals` discretises: for each of some spread preferences it takes the
likeliest options, and computes the loss of the relaxed and of the discretised network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from optnas.errors import InputError
from optnas.evaluators.augmentation import augmented
from optnas.evaluators.feed import Batch, Feed
from optnas.evaluators.outputs import in_float32
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.relaxed.balance import MEMORY, Balance, Gradient, weighted_sums
from optnas.evaluators.relaxed.costs import Counter
from optnas.evaluators.relaxed.decisions import Deciding, likeliest, log_probability, sampled
from optnas.evaluators.relaxed.hypernetwork import (
    Hypernetwork,
    random_preference,
    spread_preferences,
)
from optnas.evaluators.relaxed.networks import Decide, Networks, RelaxedNetwork
from optnas.evaluators.shared_tensors import SharedTensors
from optnas.evaluators.single_example import explained_single_example
from optnas.evaluators.training_loss import Loss, training_loss
from optnas.samplers.gradient import Proposal, RelaxedSettings, key_of
from optnas.search_spaces import SearchSpace
from optnas.search_spaces.mixture import Mixture, argmax, gumbel, softmax
from optnas.utils.distributions import options
from optnas.utils.random_state import seeded
from optnas.utils.silent import silent


class RelaxedTraining:
    """Trains a relaxed network, epoch by epoch.

    Args:
        space: The search space.
        halves: Feeds of the two halves: the first one for the weights, the second for the logits.
            The held-out part of each is the other half.
        recipe: Trains the weights.
        loss: `loss(outputs, targets)`, a tensor of one element.
        settings: Those of the sampler.
        counter: Counts operations; a preference weighs the loss and its metrics, in that order.
        seed: Seeds what is drawn.
        look: Checks what a network returns, untrained.

    Attributes:
        step: The number of steps that are done.
        steps: Those in all; less once the training ends early.
        ended: Why it ended early; empty if it didn't.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        halves: tuple[Feed, Feed],
        recipe: Recipe,
        loss: Loss,
        settings: RelaxedSettings,
        counter: Counter,
        *,
        seed: int,
        look: Callable[[nn.Module], None] | None = None,
    ) -> None:
        self._space = space
        self._feeds = halves
        self._recipe = recipe
        self._loss = training_loss(loss, recipe)
        self._settings = settings
        self._axes = 1 + len(counter.metrics)
        self._counter = counter
        self._rng = Random(seed)
        self._weights = SharedTensors(halves[0], recipe)
        self._hyper = Hypernetwork(self._spread(), settings.logit_rate, self.device)
        self._mixture = Mixture()
        self._networks = Networks(space, self._mixture, counter, self.device, look)
        self._levels: list[float] = []
        self._balance = Balance()
        self._skips: dict[str, list[int]] = {}
        self._per_epoch = min(feed.steps(recipe.batch_size) for feed in halves)
        self.step, self.ended = 0, ""
        self.steps = self._all = settings.epochs * self._per_epoch

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self._feeds[0].device

    @property
    def epochs(self) -> int:
        """The number of epochs that are done."""
        return self.step // self._per_epoch

    @explained_single_example()
    def train_epoch(self, give_way: Callable[[], None]) -> float:
        """Trains for one pass over both halves.

        Args:
            give_way: Called before each step: a latency measurement may wait for the device.

        Returns:
            The mean loss of the weights' steps.

        Raises:
            InputError: The loss diverged, or no network could be made.
        """
        total: Tensor | float = 0.0
        layout, size = torch.contiguous_format, self._recipe.batch_size
        batches = [augmented(feed.train(size, layout), self._recipe) for feed in self._feeds]
        done = 0
        for for_weights, for_logits in zip(*batches, strict=False):
            if done == self._per_epoch:
                break
            give_way()
            if self.step >= self._settings.warm_up * self._all:
                self._logit_step(for_logits)
            give_way()
            total = total + self._weight_step(for_weights)
            done += 1
            self.step += 1
        mean = float(total) / max(done, 1)
        if not math.isfinite(mean):
            raise InputError(
                f"the relaxed network diverged after {self.step} steps: its training loss is "
                f"{mean}; give the GradientSampler a lower learning_rate than "
                f"{self._settings.learning_rate:g}"
            )
        self._end_if_skips()
        return mean

    def _weight_step(self, batch: Batch) -> Tensor:
        _, features = self._preferred()
        network = self._drawn(lambda attempt: sampled(self._hyper, features, self._rng))
        self._weigh(features, learned=False)
        loss = self._loss_of(network, batch)
        self._weights.zero_grad()
        self._weights.scale.scaled(loss).backward()
        self._weights.update(self.step, self._all)
        return loss.detach()

    def _logit_step(self, batch: Batch) -> None:
        preference, features = self._preferred()
        network = self._drawn(lambda attempt: sampled(self._hyper, features, self._rng))
        self._weigh(features, learned=True)
        loss = self._loss_of(network, batch)
        costs = [table.expected().clamp_min(1e-12).log() for table in network.tables]
        parts = [loss, *(cost.to(loss.device) for cost in costs)]
        log_p = log_probability(self._hyper, features, network)
        values = torch.stack(parts).tolist()
        self._levels = self._levels or list(values)
        gradients = []
        for part, value, level in zip(parts, values, self._levels, strict=True):
            gradients.append(self._hyper.gradient(part + (value - level) * log_p))
        found = self._balance.added(preference.tolist(), gradients)
        if self._settings.beta:
            beta = self._settings.beta * self.step / self._all
            found = weighted_sums((found, self._flat(network)), (1.0, beta))
        self._hyper.update(found)
        pairs = zip(self._levels, values, strict=True)
        self._levels = [MEMORY * old + (1 - MEMORY) * new for old, new in pairs]

    def _flat(self, network: RelaxedNetwork) -> Gradient:
        """The gradient of β-DARTS' regularisation."""
        sums = [self._mixture.logits(n, len(c)).logsumexp(0) for n, c in network.choices.items()]
        return self._hyper.gradient(torch.stack(sums).mean())

    def _loss_of(self, network: RelaxedNetwork, batch: Batch) -> Tensor:
        outputs, targets = self._weights.run(network.model, batch)
        return self._loss(in_float32(outputs), targets)

    def _preferred(self) -> tuple[Tensor, Tensor]:
        preference = random_preference(self._axes, self._rng)
        return preference, self._hyper.features(preference)

    def _drawn(self, decide: Callable[[int], Decide]) -> RelaxedNetwork:
        network = self._networks.draw(decide)
        self._weights.admit(network.model)
        for name, skips in network.skips.items():
            self._skips.setdefault(key_of(name, len(network.choices[name])), sorted(skips))
        return network

    def _weigh(self, features: Tensor, *, learned: bool) -> None:
        """Sets the mixture up for a pass."""
        first, last = self._settings.temperature
        temperature = first + (last - first) * self.step / self._all
        how = softmax if self._settings.mixture == "softmax" else gumbel(temperature)
        of = self._logits(features)
        self._mixture.set(of if learned else lambda name, count: of(name, count).detach(), how)

    def _logits(self, features: Tensor) -> Callable[[str, int], Tensor]:
        return lambda name, count: self._hyper.logits(name, count, features)

    def _spread(self) -> list[tuple[float, ...]]:
        return spread_preferences(self._axes, self._settings.preferences)

    def _share_of_skips(self, table: Mapping[str, Sequence[float]]) -> float | None:
        """The share of choices whose likeliest operation is a skip, of those that have one."""
        taken = [
            float(max(range(len(table[key])), key=table[key].__getitem__) in skips)
            for key, skips in self._skips.items()
            if skips and key in table
        ]
        return sum(taken) / len(taken) if taken else None

    def _end_if_skips(self) -> None:
        most = self._settings.most_skips
        if most is None or self.step < self._settings.warm_up * self._all:
            return
        tables = [self._hyper.table(self._hyper.features(torch.tensor(p))) for p in self._spread()]
        shares = [s for s in map(self._share_of_skips, tables) if s is not None]
        mean = sum(shares) / len(shares) if shares else 0.0
        # Logits of 0 have no likeliest operation.
        if mean > most and any(any(row) for table in tables for row in table.values()):
            self.ended = f"ended early because {mean:.0%} of the likeliest operations were skips"
            self.steps = self.step

    def proposals(self) -> tuple[Proposal, ...]:
        """The discretised architecture of each preference; call it after the last epoch."""
        return tuple(self._proposal(p) for p in self._spread())

    def _proposal(self, preference: tuple[float, ...]) -> Proposal:
        features = self._hyper.features(torch.tensor(preference))
        rng = Random(0)
        first, others = likeliest(self._hyper, features, rng), sampled(self._hyper, features, rng)
        # What can't be built was never learned, and may seem likeliest.
        network = self._drawn(lambda attempt: others if attempt else first)
        losses = []
        for how in (softmax, argmax):
            with torch.no_grad():
                self._mixture.set(self._logits(features), how)
                losses.append(self._held_out_loss(network))
        table, params = self._hyper.table(features), {}
        decided = {name: value for name, _, value in network.decisions}
        draft = Deciding(decided, first)
        with seeded(0), silent():  # a FunctionSpace builds the network here
            self._space.suggest(draft)
        for name, value in draft.params.items():
            if key_of(name, options(draft.distributions[name])) in table:
                params[name] = value
        relaxed, discretised = losses
        return Proposal(
            preference, params, table, relaxed, discretised, self._share_of_skips(table)
        )

    def _held_out_loss(self, network: RelaxedNetwork) -> float:
        """The mean loss on the half of the logits, normalised by the statistics of each batch."""
        model = network.model.eval()
        for module in model.modules():
            if isinstance(module, _NormBase):
                module.train()
        losses = [
            float(self._loss_of(network, batch))
            for batch in self._feeds[0].held_out(torch.contiguous_format)
        ]
        model.train()
        return sum(losses) / max(len(losses), 1)

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs: tensors (those in use, no copies) and plain types."""
        return {
            "weights": self._weights.state(),
            "logits": self._hyper.state(),
            "levels": list(self._levels),
            "lengths": list(self._balance.lengths),
            "skips": dict(self._skips),
            "times": dict(self._counter.times),
            "draws": self._rng.getstate(),
            "step": self.step,
            "steps": self.steps,
            "ended": self.ended,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from a state of the same training, made on any device."""
        self._weights.load_state(state["weights"])
        self._hyper.load_state(state["logits"])
        self._levels = list(state["levels"])
        self._balance.lengths = list(state["lengths"])
        self._skips = dict(state["skips"])
        self._counter.times.update(state["times"])
        self._rng.setstate(state["draws"])
        self.step, self.steps, self.ended = state["step"], state["steps"], state["ended"]
