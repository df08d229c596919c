"""Shapes: B batch, H W image height and width."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vqvae.training.adversary import Adversary, Discriminator, hinge_loss

CPU = torch.device("cpu")


def test_the_hinge_loss_is_that_worked_by_hand():
    of_photographs = torch.tensor([2.0, 1.0, 0.5, -1.0])  # lack 0, 0, 0.5 and 2 to be 1
    of_reconstructions = torch.tensor([-2.0, -1.0, 0.0, 3.0])  # are 0, 0, 1 and 4 above -1
    assert hinge_loss(of_photographs, of_reconstructions).item() == pytest.approx((2.5 / 4 + 5 / 4) / 2)


def test_a_verdict_looks_at_70_pixels():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 128, 128, requires_grad=True)
    verdicts = Discriminator()(x)
    assert verdicts.shape == (1, 1, 16, 16)
    verdicts[0, 0, 8, 8].backward()
    rows, columns = x.grad.abs().sum((0, 1)).nonzero().T
    assert [rows.min(), rows.max() + 1] == [columns.min(), columns.max() + 1]
    assert rows.max() + 1 - rows.min() == 70


def test_its_gradient_favours_no_pixel_of_a_patch():
    """Mean gradients at the 16 pixels of 4x4 patches: unlike ones would print a grid into reconstructions."""
    torch.manual_seed(0)
    adversary = Adversary(CPU)
    images = torch.rand(4, 3, 64, 64) * 2 - 1
    x_hat = F.avg_pool2d(images, 5, 1, 2).requires_grad_()
    for _ in range(20):
        adversary.learn_(images, x_hat)
    adversary.discriminator(x_hat).mean().backward()
    inside = x_hat.grad[:, :, 16:48, 16:48].mean((0, 1))  # far from the border, which is unlike
    by_pixel = torch.stack([inside[y::4, x::4].mean() for y in range(4) for x in range(4)])
    assert by_pixel.std() < 0.3 * inside.square().mean().sqrt()


def test_every_convolution_stretches_by_one_at_most():
    discriminator = Discriminator()
    for _ in range(30):  # the power iteration goes on with every use
        discriminator(torch.randn(1, 3, 32, 32))
    convolutions = [layer for layer in discriminator.eval() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 5
    for convolution in convolutions:
        norm = torch.linalg.matrix_norm(convolution.weight.flatten(1), 2).item()
        assert norm == pytest.approx(1, abs=0.05)


def pulls(weight, size):
    """Gradients at a decoder's last weights: of all together, of the loss alone and of the verdicts alone."""
    torch.manual_seed(0)
    adversary = Adversary(CPU)
    adversary.discriminator.eval()  # no power iteration: the same verdicts twice
    decoder = nn.Sequential(nn.Conv2d(2, 4, 1), nn.Conv2d(4, 3, 1))
    last = decoder[-1].weight
    x_hat = decoder(torch.randn(2, 2, 32, 32))
    loss, objection = size * (x_hat - 1).square().mean(), -adversary.discriminator(x_hat).mean()
    alone = [torch.autograd.grad(value, last, retain_graph=True)[0] for value in (loss, objection)]
    assert adversary.backward_(loss, x_hat, last, weight) == objection
    assert all(parameter.grad is None for parameter in adversary.discriminator.parameters())
    assert all(parameter.grad is not None for parameter in decoder.parameters())
    return last.grad, *alone


@pytest.mark.parametrize("size", [1e-6, 1.0])
def test_the_verdicts_pull_with_the_weight_times_the_losss_force(size):
    together, of_loss, of_verdicts = pulls(0.25, size)
    expected = of_loss + 0.25 * of_loss.norm() * of_verdicts / of_verdicts.norm()
    torch.testing.assert_close(together / size, expected / size, rtol=1e-3, atol=1e-5)


def test_without_a_loss_there_is_no_pull():
    together, _, of_verdicts = pulls(1.0, 0.0)
    assert of_verdicts.any()
    assert not together.any()


def test_the_discriminator_learns_to_tell_and_leaves_the_decoder_alone():
    torch.manual_seed(0)
    adversary = Adversary(CPU)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    x_hat = (
        images.mean((2, 3), keepdim=True) * torch.ones_like(images)
    ).requires_grad_()  # all texture is gone
    losses = [adversary.learn_(images, x_hat).item() for _ in range(40)]
    assert losses[0] == pytest.approx(1, abs=0.2)
    assert losses[-1] < 0.7
    assert x_hat.grad is None
    assert adversary.discriminator(images).mean() > adversary.discriminator(x_hat).mean()


def test_a_saved_adversary_goes_on_as_if_it_had_not_stopped(tmp_path):
    torch.manual_seed(0)
    batches = torch.rand(6, 2, 2, 3, 32, 32)
    undisturbed = Adversary(CPU)
    for images, x_hat in batches[:3]:
        undisturbed.learn_(images, x_hat)
    torch.save(undisturbed.state_dict(), tmp_path / "state.pt")
    second = Adversary(CPU)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for images, x_hat in batches[3:]:
        assert undisturbed.learn_(images, x_hat) == second.learn_(images, x_hat)


def test_verdicts_are_float32_whatever_the_decoder_computed_in():
    adversary = Adversary(CPU)
    last = nn.Parameter(torch.randn(3, 1, 1))
    x_hat = last.bfloat16() * torch.randn(1, 3, 32, 32).bfloat16()
    assert adversary.backward_(x_hat.float().square().mean(), x_hat, last, 1.0).dtype == torch.float32
    assert last.grad.isfinite().all()
    assert adversary.learn_(torch.randn(1, 3, 32, 32), x_hat).dtype == torch.float32
