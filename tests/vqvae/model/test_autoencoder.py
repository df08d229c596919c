"""Shapes: B batch, D code dim, H W image height and width, h w latent height and width."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from vqvae.errors import ConfigError
from vqvae.model import Autoencoder, AutoencoderConfig, DecoderConfig, EncoderConfig
from vqvae.quantizers import EmaQuantizerConfig, VectorQuantizerConfig, flatten

TINY = AutoencoderConfig(
    EncoderConfig(patch=2, widths=(6, 8), blocks=(1, 1)),
    EmaQuantizerConfig(codebook_size=16, codebook_dim=4),
    DecoderConfig(patch=2, widths=(6, 8), blocks=(1, 1), full_width=4),
)


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder(TINY)


@pytest.fixture
def images():
    return 2 * torch.rand(3, 3, 20, 28, generator=torch.Generator().manual_seed(1)) - 1


def test_the_default_is_the_shipped_shape():
    config = AutoencoderConfig()
    assert config.downsample_factor == 8
    assert config.quantizer == EmaQuantizerConfig(codebook_size=4096, codebook_dim=8, decay=0.99)


def test_shapes_follow_the_downsample_factor(model, images):
    out = model(images)
    assert out.z_e.shape == out.quantized.z_q.shape == (3, 4, 5, 7)
    assert out.quantized.codes.shape == (3, 5, 7)
    assert out.x_hat.shape == images.shape


def test_without_the_quantizer_the_decoder_sees_the_latents(model, images):
    out = model(images, quantize=False)
    assert out.quantized is None
    assert torch.equal(out.x_hat, model.decoder(out.z_e))


def test_in_evaluation_a_reconstruction_is_the_decoded_lookup(model, images):
    model.eval()
    with torch.no_grad():
        out = model(images)
        codes = model.quantizer.nearest_codes(model.encoder(images))
        assert torch.equal(out.x_hat, model.decoder(model.quantizer.lookup(codes)))


def test_the_reconstruction_trains_encoder_and_decoder(model, images):
    # Past the start: at zero, the last convolution of a block lets no gradient to the first.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)), alpha=0.1
            )
    model(images).x_hat.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_standardised_latents_have_mean_0_and_variance_1_and_change_no_reconstruction(model, images):
    with torch.no_grad():
        before = model(images, quantize=False)
        sample = flatten(before.z_e)
        assert (sample.mean(0).abs() > 0.05).any()
        model.standardise_latents_(sample)
        after = model(images, quantize=False)
    torch.testing.assert_close(after.x_hat, before.x_hat, atol=1e-5, rtol=0)
    latents = flatten(after.z_e)
    torch.testing.assert_close(latents.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.var(0), torch.ones(4), atol=1e-5, rtol=1e-5)


def test_a_channel_that_says_nothing_is_standardised_too(model, images):
    with torch.no_grad():
        model.encoder.head[-1].weight[0] = 0
        before = model(images, quantize=False)
        model.standardise_latents_(flatten(before.z_e))
        after = model(images, quantize=False)
    assert after.z_e.isfinite().all()
    torch.testing.assert_close(after.x_hat, before.x_hat, atol=1e-5, rtol=0)


shapes = st.integers(0, 2).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "patch": st.just(4),
            "widths": st.tuples(*[st.integers(1, 64)] * (n + 1)),
            "blocks": st.tuples(*[st.integers(0, 4)] * (n + 1)),
        }
    )
)
quantizers = st.builds(
    EmaQuantizerConfig, codebook_size=st.integers(2, 2**32), decay=st.floats(0, 0.999)
) | st.builds(VectorQuantizerConfig, codebook_dim=st.integers(1, 99), codebook_weight=st.floats(0.1, 9))


@given(shapes, quantizers, st.integers(1, 64))
def test_a_configuration_survives_json(shape, quantizer, full_width):
    config = AutoencoderConfig(
        EncoderConfig(**shape), quantizer, DecoderConfig(**shape, full_width=full_width)
    )
    assert AutoencoderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("path", "variables", "message"),
    [
        ((), {"vae": 1}, "AutoencoderConfig has no variable 'vae'"),
        (("encoder",), {"depth": 1}, "EncoderConfig has no variable 'depth'"),
        (("quantizer",), {"ema_decay": 1}, "EmaQuantizerConfig has no variable 'ema_decay'"),
        (("decoder",), {"tanh": True}, "DecoderConfig has no variable 'tanh'"),
        (("encoder",), {"patch": 0}, "patch must be at least 1, got 0"),
        (
            ("encoder",),
            {"widths": [8]},
            r"widths and blocks must be of one length, at least 1, got \(8,\) and",
        ),
        (("encoder",), {"widths": [], "blocks": []}, "widths and blocks must be of one length"),
        (("encoder",), {"widths": [8, 0]}, r"widths must be at least 1, got \(8, 0\)"),
        (("encoder",), {"blocks": [1, -1]}, r"blocks must not be negative, got \(1, -1\)"),
        (("encoder",), {"patch": 4}, "encoder and decoder must have one downsample factor, got 8 and 4"),
        (("decoder",), {"full_width": 0}, "full_width must be at least 1, got 0"),
        (("decoder",), {"widths": 8}, "DecoderConfig.widths must be a list of int, got 8"),
        ((), {"quantizer": "ema"}, "AutoencoderConfig.quantizer must be of type CodebookConfig, got 'ema'"),
    ],
)
def test_values_off_their_rule_are_rejected_by_name(path, variables, message):
    config = TINY.to_dict()
    target = config
    for part in path:
        target = target[part]
    target |= variables
    with pytest.raises(ConfigError, match=message):
        AutoencoderConfig.from_dict(config)


def test_the_shipped_shape_costs_what_its_card_says():
    model = Autoencoder(AutoencoderConfig()).to("meta")
    gflop = []
    for part, inputs in ((model.encoder, (1, 3, 256, 256)), (model.decoder, (1, 8, 32, 32))):
        with FlopCounterMode(display=False) as counter:
            part(torch.empty(inputs, device="meta"))
        gflop.append(counter.get_total_flops() / 1e9)
    assert gflop == pytest.approx([8.0, 15.3], abs=0.05)
