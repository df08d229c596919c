"""A codebook that one map moves, against numbers worked by hand.

One latent z = (1, 2), the anchors (0, 0) and (3, 2), no map yet: squared distances 5 and 4, so code 1.
"""

import torch

from vqvae.quantizers import SimVectorQuantizer, SimVectorQuantizerConfig

Z = torch.tensor([1.0, 2.0])


def quantize():
    quantizer = SimVectorQuantizer(SimVectorQuantizerConfig(codebook_size=2, codebook_dim=2))
    quantizer.load_inference_state_({"codebook": torch.tensor([[0.0, 0.0], [3.0, 2.0]])})
    return quantizer, quantizer(Z.view(1, 2, 1, 1))


def test_losses_are_those_worked_by_hand():
    _, quantized = quantize()
    assert quantized.codes.item() == 1
    assert quantized.codebook_loss.item() == 2.0  # ((3 - 1)^2 + (2 - 2)^2) / 2
    assert quantized.commitment_loss.item() == 0.5  # 0.25 * the same


def test_the_codebook_loss_moves_the_map_and_with_it_every_code_vector():
    quantizer, quantized = quantize()
    (gradient,) = torch.autograd.grad(quantized.codebook_loss, quantizer.map)
    # z_q = anchor @ map: the outer product of (3, 2) with 2 (z_q - z) / 2 = (2, 0)
    assert gradient.tolist() == [[6.0, 0.0], [4.0, 0.0]]
    quantizer.anchors[0] = torch.tensor([1.0, 0.0])
    with torch.no_grad():
        quantizer.map -= 0.1 * gradient
    torch.testing.assert_close(quantizer.codebook[0], torch.tensor([0.4, 0.0]))  # a code that was not used


def test_a_code_vector_is_put_where_the_map_takes_it():
    quantizer, _ = quantize()
    with torch.no_grad():
        quantizer.map.copy_(torch.tensor([[2.0, 1.0], [0.0, 0.5]]))
    other = quantizer.codebook[0].clone()
    quantizer.set_codes_(torch.tensor([False, True]), torch.tensor([[4.0, -1.0]]))
    torch.testing.assert_close(
        quantizer.codebook.detach(), torch.stack([other.detach(), torch.tensor([4.0, -1.0])])
    )
    assert torch.equal(quantizer.lookup(torch.tensor([[[1]]])).flatten(), quantizer.codebook[1])
