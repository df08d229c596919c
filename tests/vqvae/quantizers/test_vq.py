"""The article's loss against numbers worked by hand.

One latent z = (1, 2) and the code vectors e0 = (0, 0), e1 = (3, 2): squared distances 5 and 4, so code 1.
"""

import pytest
import torch

from vqvae.errors import ConfigError
from vqvae.quantizers import VectorQuantizer, VectorQuantizerConfig, flatten

Z = torch.tensor([1.0, 2.0])


def quantize(**variables):
    quantizer = VectorQuantizer(VectorQuantizerConfig(codebook_size=2, codebook_dim=2, **variables))
    quantizer.load_inference_state_({"codebook": torch.tensor([[0.0, 0.0], [3.0, 2.0]])})
    z_e = Z.view(1, 2, 1, 1).clone().requires_grad_()
    return quantizer, z_e, quantizer(z_e)


def gradients(loss, quantizer, z_e):
    return torch.autograd.grad(loss, (quantizer.codebook, z_e), allow_unused=True)


def test_losses_are_those_worked_by_hand():
    _, _, quantized = quantize()
    assert quantized.codes.item() == 1
    assert quantized.codebook_loss.item() == 2.0  # 1 * ((3 - 1)^2 + (2 - 2)^2) / 2
    assert quantized.commitment_loss.item() == 0.5  # 0.25 * the same


def test_the_codebook_loss_moves_the_chosen_code_vector_towards_the_latent_and_nothing_else():
    quantizer, z_e, quantized = quantize()
    codebook_gradient, latent_gradient = gradients(quantized.codebook_loss, quantizer, z_e)
    assert latent_gradient is None
    # 1 * 2 (e1 - z) / 2 numbers = (2, 0): a step against it takes 3 down, towards 1
    assert codebook_gradient.tolist() == [[0.0, 0.0], [2.0, 0.0]]


def test_the_commitment_loss_moves_the_latent_towards_its_code_vector_and_nothing_else():
    quantizer, z_e, quantized = quantize()
    codebook_gradient, latent_gradient = gradients(quantized.commitment_loss, quantizer, z_e)
    assert codebook_gradient is None
    # 0.25 * 2 (z - e1) / 2 numbers = (-0.5, 0): a step against it takes 1 up, towards 3
    assert latent_gradient.flatten().tolist() == [-0.5, 0.0]


def test_each_loss_scales_with_its_own_weight():
    _, _, quantized = quantize(codebook_weight=3.0, commitment_weight=0.75)
    assert quantized.codebook_loss.item() == 6.0
    assert quantized.commitment_loss.item() == 1.5


def test_a_gradient_step_brings_code_vector_and_latent_together():
    quantizer, z_e, quantized = quantize()
    (quantized.codebook_loss + quantized.commitment_loss).backward()
    with torch.no_grad():
        moved_vector = quantizer.codebook[1] - 0.1 * quantizer.codebook.grad[1]
        moved_latent = z_e.flatten() - 0.1 * z_e.grad.flatten()
    torch.testing.assert_close(moved_vector, torch.tensor([2.8, 2.0]))
    torch.testing.assert_close(moved_latent, torch.tensor([1.05, 2.0]))


def test_the_codebook_is_a_parameter_and_updates_are_left_to_the_optimizer():
    quantizer, z_e, quantized = quantize()
    before = quantizer.codebook.detach().clone()
    quantizer.update_(flatten(z_e), quantized.codes.flatten())
    assert torch.equal(quantizer.codebook, before)
    assert [name for name, _ in quantizer.named_parameters()] == ["vectors"]


def test_codebook_weight_must_be_positive():
    with pytest.raises(ConfigError, match="codebook_weight must be positive, got 0"):
        VectorQuantizerConfig(codebook_weight=0)
