"""What every metric must do."""

import copy
import gc
import json
import math
import random

import numpy as np
import pytest
import torch

from optnas.candidate import Candidate


class MetricContract:
    """Attributes: `metric`; `grows`, whether a wider network has more of it."""

    grows = True

    class Network(torch.nn.Module):
        """Has parameters, buffers, a submodule in another mode, and may fail half-way."""

        def __init__(self, width, fails=False):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, width, 3, padding=1)
            self.norm = torch.nn.BatchNorm2d(width)
            self.activation = torch.nn.ReLU()
            self.drop = torch.nn.Dropout(0.5)
            self.body = torch.nn.Conv2d(width, width, 3, padding=1)
            self.head = torch.nn.Linear(width * 256, 10)
            self.fails = fails

        def forward(self, x):
            x = self.body(self.drop(self.activation(self.norm(self.conv(x)))))
            if self.fails:
                raise RuntimeError("half-way")
            return self.head(x.flatten(1))

    def candidate(self, width=64, fails=False):
        return Candidate("", torch.randn(1, 3, 16, 16), lambda: self.Network(width, fails))

    @pytest.mark.parametrize("fails", [False, True])
    def test_leaves_the_model_alone(self, fails):
        candidate = self.candidate()
        model = candidate.model
        model.train()
        model.norm.eval()
        model(candidate.example_inputs).sum().backward()
        model.fails = fails
        state = copy.deepcopy(model.state_dict())
        modes = [m.training for m in model.modules()]
        grads = [p.grad.clone() for p in model.parameters()]
        attributes = [set(vars(m)) for m in model.modules()]
        rng = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        settings = self.settings()
        try:
            self.metric.measure(candidate)
            self.metric.check(candidate)
        except RuntimeError:
            assert fails
        assert candidate.model is model
        assert list(state) == list(model.state_dict())
        assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
        assert modes == [m.training for m in model.modules()]
        assert all(torch.equal(a, p.grad) for a, p in zip(grads, model.parameters(), strict=True))
        assert attributes == [set(vars(m)) for m in model.modules()]
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        assert torch.equal(rng[0], torch.get_rng_state())
        assert rng[1:] == (random.getstate(), np.random.get_state()[1].tolist())
        assert settings == self.settings()

    @staticmethod
    def settings():
        return (
            torch.get_num_threads(),
            torch.backends.mha.get_fastpath_enabled(),
            torch._C._get_mkldnn_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_grad_enabled(),
            gc.isenabled(),
        )

    def test_is_finite_and_grows_when_the_width_doubles(self):
        small, large = (self.metric.measure(self.candidate(width)) for width in (64, 128))
        if not self.grows:
            small, large = large, small
        assert 0 < small < large < math.inf

    def test_counts_are_repeatable(self):
        if self.metric.exact:
            first, second = (self.metric.measure(self.candidate()) for _ in range(2))
            assert first == second

    def test_names_itself(self):
        assert self.metric.name
        assert self.metric.direction in ("minimize", "maximize")
        assert self.metric.effort in (0, 1, 2, 3)
        assert all(isinstance(key, str) for key in self.metric.fingerprint)
        assert json.loads(json.dumps(self.metric.fingerprint)) == self.metric.fingerprint

    def test_details_can_be_stored(self):
        candidate = self.candidate()
        self.metric.measure(candidate)
        self.metric.check(candidate)
        assert json.loads(json.dumps(candidate.details)) == candidate.details
