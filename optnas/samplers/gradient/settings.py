"""The settings of a relaxed network's training (part of `gradient`)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from optnas.utils.checks import check_counts, check_numbers

MixtureKind = Literal["gumbel", "softmax"]


@dataclass(frozen=True)
class RelaxedSettings:
    """How the relaxed network is trained; `GradientSampler` documents each.

    Raises:
        ValueError: A setting is out of range.
    """

    preferences: int = 8
    epochs: int = 50
    mixture: MixtureKind = "gumbel"
    temperature: tuple[float, float] = (10.0, 0.1)
    learning_rate: float = 0.01
    logit_rate: float = 0.05
    warm_up: float = 0.1
    most_skips: float | None = None
    beta: float = 0.0

    def __post_init__(self) -> None:
        check_counts(preferences=self.preferences, epochs=self.epochs)
        if self.mixture not in get_args(MixtureKind):
            raise ValueError(f"mixture must be gumbel or softmax, got {self.mixture!r}")
        numbers = ("learning_rate", "logit_rate", "warm_up", "most_skips", "beta")
        check_numbers(**{name: getattr(self, name) for name in numbers})
        for name in ("learning_rate", "logit_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        try:
            first, last = self.temperature
            fits = 0 < last <= first < math.inf
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ValueError(
                "temperature must be (first, last) with 0 < last <= first, got "
                f"{self.temperature!r}"
            )
        object.__setattr__(self, "temperature", (float(first), float(last)))
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"warm_up is a share of the steps, 0 to below 1, got {self.warm_up}")
        if self.most_skips is not None and not 0 <= self.most_skips <= 1:
            raise ValueError(
                f"most_skips is a share, from 0 to 1, or None for no limit, got {self.most_skips}"
            )
        if not 0 <= self.beta < math.inf:
            raise ValueError(f"beta must be at least 0, got {self.beta}")

    @property
    def fingerprint(self) -> dict[str, str]:
        """All settings, as texts."""
        return {name: str(value) for name, value in asdict(self).items()}
