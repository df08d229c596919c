"""What holds for every method. Shapes: B batch, D code dim, h w latent size, K codebook size."""

import pytest
import torch

from vqvae.errors import ConfigError
from vqvae.quantizers import METHODS, CodebookConfig, flatten, kmeans, quantizer_config_from_dict


@pytest.fixture(params=METHODS)
def quantizer(request):
    """16 code vectors of 4 numbers, weighted losses, in training."""
    config = METHODS[request.param].config(codebook_size=16, codebook_dim=4)
    quantizer = METHODS[request.param].quantizer(config)
    quantizer.init_codebook_(latents_of(256), torch.Generator().manual_seed(1))
    return quantizer.train()


def latents_of(num, dim=4, seed=0):
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed))


def planes(latents, height, width):
    """Rows (N, D) in raster order -> (B, D, h, w)."""
    return latents.view(-1, height, width, latents.shape[1]).permute(0, 3, 1, 2)


def test_code_vectors_quantize_to_themselves(quantizer):
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    z_e = planes(quantizer.codebook[order].detach(), 2, 4)
    quantized = quantizer.eval()(z_e)
    assert quantized.codes.flatten().tolist() == order.tolist()
    assert torch.equal(quantized.z_q, z_e)
    assert quantized.codebook_loss == quantized.commitment_loss == 0


def test_codes_stand_where_their_latents_stood(quantizer):
    z_e = planes(latents_of(2 * 3 * 5), 3, 5)
    codes = quantizer.nearest_codes(z_e)
    assert codes.shape == (2, 3, 5)
    assert codes.dtype == torch.int64
    one = z_e[1, :, 2, 3]
    distances = (quantizer.codebook - one).square().sum(1)
    assert codes[1, 2, 3] == distances.argmin()
    assert torch.equal(quantizer.lookup(codes)[1, :, 2, 3], quantizer.codebook[codes[1, 2, 3]])


def test_flatten_is_in_raster_order():
    z_e = torch.arange(2 * 3 * 2 * 2).view(2, 3, 2, 2)
    assert flatten(z_e)[:5].tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11], [12, 16, 20]]


def test_straight_through_copies_the_gradient(quantizer):
    z_e = planes(latents_of(24), 2, 3).requires_grad_()
    weights = planes(latents_of(24, seed=3), 2, 3)
    (gradient,) = torch.autograd.grad((weights * quantizer(z_e).z_q).sum(), z_e)
    assert torch.equal(gradient, weights)


def test_the_gradient_is_the_copied_one_and_the_commitment(quantizer):
    z_e = planes(latents_of(24), 2, 3).requires_grad_()
    weights = planes(latents_of(24, seed=3), 2, 3)
    quantized = quantizer(z_e)
    loss = (weights * quantized.z_q).sum() + quantized.codebook_loss + quantized.commitment_loss
    (gradient,) = torch.autograd.grad(loss, z_e)
    # d/dz of 0.25 * mean((z - e)^2) over 24 * 4 numbers
    commitment = 0.25 * 2 / 96 * (z_e - quantizer.lookup(quantized.codes)).detach()
    torch.testing.assert_close(gradient, weights + commitment)


def test_no_gradient_of_the_reconstruction_reaches_the_codebook(quantizer):
    z_e = planes(latents_of(24), 2, 3).requires_grad_()
    quantizer(z_e).z_q.sum().backward()
    assert all(parameter.grad is None for parameter in quantizer.parameters())


def test_in_evaluation_z_q_is_the_looked_up_vectors(quantizer):
    # In training z_q is z_e + (e - z_e), which rounding moves off e.
    z_e = planes(1000 * latents_of(24), 2, 3)
    training = quantizer(z_e)
    assert not torch.equal(training.z_q, quantizer.lookup(training.codes))
    quantized = quantizer.eval()(z_e)
    assert torch.equal(quantized.z_q, quantizer.lookup(quantized.codes))
    assert torch.equal(quantized.codes, training.codes)


def test_quantizing_is_float32_under_autocast(quantizer):
    z_e = planes(latents_of(24), 2, 3)
    quantized = quantizer(z_e)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = quantizer(z_e)
        from_bfloat16 = quantizer(z_e.bfloat16())
    for name in ("z_q", "codebook_loss", "commitment_loss"):
        assert getattr(under_autocast, name).dtype == getattr(from_bfloat16, name).dtype == torch.float32
        assert torch.equal(getattr(under_autocast, name), getattr(quantized, name))
    assert torch.equal(under_autocast.codes, quantized.codes)


def test_dead_codes_restart_at_latents_and_live_ones_stay(quantizer):
    before = quantizer.codebook.detach().clone()
    dead = [3, 5, 9, 11]
    counts = torch.full((16,), 16)
    counts[dead] = 0
    counts[7] = 3  # 183 over 16 codes are 11.4 a code, of which a fifth are 2.3: three times are enough
    latents = latents_of(50, seed=4)
    assert quantizer.restart_dead_codes_(counts, latents, torch.Generator().manual_seed(0)) == len(dead)
    after = quantizer.codebook.detach()
    live = [code for code in range(16) if code not in dead]
    assert torch.equal(after[live], before[live])
    assert all(vector in latents.tolist() for vector in after[dead].tolist())
    assert len({tuple(vector) for vector in after[dead].tolist()}) > 1


def test_nothing_restarts_where_every_code_is_used(quantizer):
    before = quantizer.codebook.detach().clone()
    generator = torch.Generator().manual_seed(0)
    assert quantizer.restart_dead_codes_(torch.ones(16), latents_of(5), generator) == 0
    assert torch.equal(quantizer.codebook, before)


@pytest.mark.parametrize("method", METHODS)
def test_a_threshold_of_zero_restarts_nothing(method):
    config = METHODS[method].config(codebook_size=16, codebook_dim=4, dead_code_threshold=0.0)
    quantizer = METHODS[method].quantizer(config)
    generator = torch.Generator().manual_seed(0)
    assert quantizer.restart_dead_codes_(torch.arange(16) % 2, latents_of(5), generator) == 0


def test_the_codebook_starts_by_kmeans(quantizer):
    latents = latents_of(100, seed=6)
    quantizer.init_codebook_(latents, torch.Generator().manual_seed(0))
    centres = kmeans(latents, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantizer.codebook, centres)


def test_what_inference_needs_can_be_loaded_back(quantizer):
    state = quantizer.inference_state()
    assert set(state) == {"codebook"}
    other = type(quantizer)(quantizer.config)
    assert not torch.equal(other.codebook, quantizer.codebook)
    other.load_inference_state_(state)
    assert torch.equal(other.codebook, quantizer.codebook)
    with pytest.raises(KeyError, match="codebook"):
        other.load_inference_state_({})
    with pytest.raises(RuntimeError, match="shape"):
        other.load_inference_state_({"codebook": torch.zeros(3, 4)})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"codebook_size": 1}, r"codebook_size must lie in \[2, 2\*\*32\], got 1"),
        ({"codebook_size": 2**32 + 1}, "codebook_size must lie"),
        ({"codebook_dim": 0}, "codebook_dim must be at least 1, got 0"),
        ({"commitment_weight": -0.1}, "commitment_weight must not be negative, got -0.1"),
        ({"dead_code_threshold": 1}, r"dead_code_threshold must lie in \[0, 1\), got 1"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_values_off_their_rule_are_rejected_by_name(method, variables, message):
    with pytest.raises(ConfigError, match=message):
        quantizer_config_from_dict({"method": method} | variables)


def test_a_quarter_is_the_default_weight_of_the_commitment():
    assert CodebookConfig().commitment_weight == 0.25
