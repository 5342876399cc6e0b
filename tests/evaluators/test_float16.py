"""Training in float16: gradients are scaled, and steps without finite ones are left out.

Here on a CPU, with PyTorch's own scaler for one.
"""

import pytest
import torch
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.evaluators.optimization import Optimization
from optnas.evaluators.training_loss import backward

CPU = torch.device("cpu")
X = torch.linspace(-1, 1, 8).reshape(4, 2)


def weights_after(precision, factor=1.0, steps=3, **settings):
    """The weights of a layer after steps of SGD on `factor` times its mean output."""
    model = nn.Linear(2, 1)
    nn.init.zeros_(model.weight)
    recipe = optnas.Recipe(
        "sgd", 1.0, 0.0, epochs=1, precision=precision, schedule="constant", **settings
    )
    optimization = Optimization(model, recipe, steps, CPU)
    for step in range(steps):

        def gradient():
            with recipe.autocast(CPU):
                hidden = model(X) * 1e-4  # in 16 bits
            loss = (hidden.float() * factor).mean()
            backward(optimization.scale.scaled(loss), model)
            return loss.detach()

        optimization.step(step, gradient)
    return model.weight.detach(), optimization


def test_small_gradients_are_not_lost():
    """Unscaled, 1e-4 · 1e-4 is below the least number of float16, 6e-8."""
    wanted, _ = weights_after("float32", 1e-4)
    found, _ = weights_after("float16", 1e-4)
    assert not torch.equal(wanted, torch.zeros_like(wanted))
    torch.testing.assert_close(found, wanted, rtol=0.01, atol=0)


def test_clipped_gradients_are_those_of_the_loss():
    """Clipped to a norm that is larger than the gradient's, but less than the scaled one's."""
    found, _ = weights_after("float16", max_grad_norm=1.0)
    wanted, _ = weights_after("float32", max_grad_norm=1.0)
    torch.testing.assert_close(found, wanted, rtol=0.01, atol=0)


def test_a_step_without_a_finite_gradient_is_left_out_and_halves_the_scale():
    before = weights_after("float16", steps=1)[1].scale.state()["scale"]
    found, optimization = weights_after("float16", 1e6, steps=1)
    assert torch.equal(found, torch.zeros_like(found))
    assert optimization.scale.state()["scale"] == before / 2


def test_a_training_that_is_resumed_has_its_scale():
    _, one = weights_after("float16", 1e6)
    assert "gradient_scale" not in weights_after("float32")[1].state()
    _, other = weights_after("float16")
    assert other.scale.state() != one.scale.state()
    other.load_state(one.state())
    assert other.scale.state() == one.scale.state()


def test_a_scheduler_of_your_own_and_a_first_step_that_is_left_out():
    def falling(optimizer, steps):
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def sgd(model):
        return torch.optim.SGD(model.parameters(), 1.0)

    model = nn.Linear(2, 1)
    recipe = optnas.Recipe(sgd, scheduler=falling, precision="float16", epochs=1)
    optimization = Optimization(model, recipe, 1, CPU)

    def gradient():
        loss = (model(X) * float("inf")).mean()
        backward(optimization.scale.scaled(loss), model)
        return loss.detach()

    optimization.step(0, gradient)  # without a warning, which would be an error here


def test_an_optimizer_with_a_closure_is_refused():
    recipe = optnas.Recipe(
        lambda model: torch.optim.LBFGS(model.parameters()), precision="float16", epochs=1
    )
    with pytest.raises(InputError, match="LBFGS computes the loss several times"):
        Optimization(nn.Linear(2, 1), recipe, 1, CPU)


def test_a_network_in_which_nothing_is_trained_keeps_its_weights():
    model = nn.Linear(2, 1).requires_grad_(False)
    recipe = optnas.Recipe("sgd", epochs=1, precision="float16")
    optimization = Optimization(model, recipe, 1, CPU)

    def gradient():
        loss = model(X).mean()
        backward(optimization.scale.scaled(loss), model)
        return loss

    optimization.step(0, gradient)


def test_shared_weights_train_in_float16(tmp_path):
    training = optnas.TrainingEvaluator(optnas.diabetes(), epochs=1, precision="float16")
    evaluator = optnas.SharedWeightsEvaluator(training, steps=4)
    space = optnas.MLPSpace((10,), 1, depth=(1, 2), width=(8, 16))
    objective = optnas.Objective(space, evaluator, ("val_loss", "params"), shared=tmp_path)
    assert objective.prepare()
