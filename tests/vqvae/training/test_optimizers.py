import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vqvae.model.blocks import Conv
from vqvae.training.optimizers import METHODS, adamw, averaged, learning_rate, muon


def rate(step, steps=100, ramp_steps=10):
    return learning_rate(step, steps=steps, peak=2.0, ramp_steps=ramp_steps)


def test_the_rate_ramps_to_its_peak_and_falls_to_zero_as_a_cosine():
    assert rate(0) == 0.2  # one tenth of the ramp
    assert rate(9) == rate(10) == 2.0
    assert rate(55) == pytest.approx(1.0)  # halfway between 10 and 100
    assert rate(32.5) == pytest.approx(1 + 0.5**0.5)  # a quarter of the way: 1 + cos 45 degrees
    assert rate(100) == pytest.approx(0, abs=1e-12)


def test_the_ramp_takes_no_more_than_a_tenth_of_the_steps():
    assert rate(3, steps=40, ramp_steps=200) == rate(4, steps=40, ramp_steps=200) == 2.0
    assert rate(0, steps=9) == 2.0
    assert rate(0, steps=1) == 2.0


@given(st.integers(1, 500), st.integers(0, 500))
def test_the_rate_rises_and_then_falls(steps, ramp_steps):
    rates = [rate(step, steps, ramp_steps) for step in range(steps)]
    peak = rates.index(max(rates))
    assert max(rates) == 2.0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert min(rates) > 0


class Scalar(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("codebook", torch.zeros(1))


def follow(decay, values):
    model = Scalar()
    average = averaged(model, decay)
    for value in values:
        with torch.no_grad():
            model.weight.fill_(value)
            model.codebook.fill_(-value)
        average.update_parameters(model)
    assert average.module.codebook == -average.module.weight
    return average.module.weight.item()


def test_averages_are_those_worked_by_hand():
    # the first is copied; then (1 + n) / (10 + n) of the old average are kept, at most the decay
    assert follow(0.999, [5]) == 5
    assert follow(0.999, [1, 12]) == pytest.approx(10)  # 2/11 * 1 + 9/11 * 12
    assert follow(0.999, [1, 12, 14]) == pytest.approx(13)  # 3/12 * 10 + 9/12 * 14
    assert follow(0.1, [1, 12]) == pytest.approx(10.9)  # 0.1 * 1 + 0.9 * 12
    assert follow(0.0, [1, 12, 14]) == 14


def test_an_average_that_is_begun_again_copies():
    model = Scalar()
    average = averaged(model, 0.9)
    average.update_parameters(model)
    with torch.no_grad():
        model.weight.fill_(7)
    average.n_averaged.zero_()
    average.update_parameters(model)
    assert average.module.weight.item() == 7


def test_only_the_kernels_of_convolutions_decay():
    model = nn.ModuleDict({"conv": nn.Conv2d(2, 3, 3)})
    model.register_parameter("codebook", nn.Parameter(torch.ones(4, 2)))
    model.register_parameter("frozen", nn.Parameter(torch.ones(1, 1, 1, 1), requires_grad=False))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = adamw(model, learning_rate=0.1, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    # without a gradient there is only the decay: 1 - 0.1 * 0.5
    torch.testing.assert_close(model["conv"].weight, 0.95 * before["conv.weight"])
    for name in ("conv.bias", "codebook", "frozen"):
        assert torch.equal(model.get_parameter(name), before[name]), name


def a_model():
    torch.manual_seed(0)
    return nn.ModuleDict({"stem": Conv(3, 32, 3), "middle": Conv(32, 64, 3), "head": Conv(64, 8, 1)})


def test_muon_moves_a_kernel_by_an_orthogonal_matrix_of_the_size_of_adamw():
    model = a_model()
    optimizers = muon(model, learning_rate=0.01, weight_decay=0.0)
    before = model["middle"].weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizers.step()
    moved = (before - model["middle"].weight.detach()).permute(0, 2, 3, 1).reshape(64, -1)
    # 0.2 of the rate, but for the spread that five rounds of Newton-Schulz leave
    assert moved.square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.25)
    values = torch.linalg.svdvals(moved)
    assert values.max() / values.min() < 2


def test_muon_takes_the_kernels_between_wide_layers_and_adamw_the_rest():
    model = a_model()
    optimizers = muon(model, learning_rate=0.1, weight_decay=0.0)
    others, kernels = optimizers._optimizers
    assert [matrix.shape for group in kernels.param_groups for matrix in group["params"]] == [(64, 9 * 32)]
    assert sum(len(group["params"]) for group in others.param_groups) == 5  # two kernels, three biases
    assert kernels.param_groups[0]["params"][0].data_ptr() == model["middle"].weight.data_ptr()


def test_muon_is_adamw_where_every_layer_is_narrow():
    assert len(muon(nn.Conv2d(8, 8, 3), learning_rate=0.1, weight_decay=0.0)._optimizers) == 1


@pytest.mark.parametrize("method", METHODS)
def test_an_optimizer_that_is_saved_and_loaded_goes_on_as_it_was(method):
    def step_(model, optimizers):
        optimizers.zero_grad()
        assert all(parameter.grad is None for parameter in model.parameters())
        loss = sum((parameter - 1).square().sum() for parameter in model.parameters())
        loss.backward()
        optimizers.set_learning_rate_(0.01)
        optimizers.step()

    model, again = a_model(), a_model()
    optimizers, others = (METHODS[method](m, 0.1, 0.01) for m in (model, again))
    step_(model, optimizers)
    again.load_state_dict(model.state_dict())
    others.load_state_dict(copy.deepcopy(optimizers.state_dict()))  # as from a file
    assert others.learning_rate == 0.01
    step_(model, optimizers)
    step_(again, others)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name
