"""What encoder and decoder read is what they say they read, no more and no less.

Shapes: H W image height and width, h w latent height and width, f downsample factor.
"""

import pytest
import torch

from vqvae.model import Decoder, DecoderConfig, Encoder, EncoderConfig, Span

DIM = 3
PYRAMIDS = {
    "f4, one resolution": {"patch": 4, "widths": (4,), "blocks": (2,)},
    "f4, two resolutions": {"patch": 2, "widths": (4, 5), "blocks": (1, 1)},
    "f8": {"patch": 4, "widths": (4, 5), "blocks": (1, 2)},
    "f8, patch 1": {"patch": 1, "widths": (2, 3, 4, 5), "blocks": (0, 0, 1, 0)},
    "f16": {"patch": 4, "widths": (4, 5, 6), "blocks": (1, 0, 1)},
}


@pytest.fixture(params=PYRAMIDS)
def encoder(request):
    return random_(Encoder(EncoderConfig(**PYRAMIDS[request.param]), DIM).eval())


@pytest.fixture(params=PYRAMIDS)
def decoder(request):
    return random_(Decoder(DecoderConfig(**PYRAMIDS[request.param], full_width=4), DIM).eval())


def random_(module):
    """Weights that make the latents a good mix of everything that they read."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            scale = max(1, parameter[0].numel()) ** -0.5
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return module


def positive_(module):
    """Positive weights on positive inputs: no rectifier closes, and nothing cancels."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.abs() + 0.1)
    return module


def noise(*shape, seed=1):
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def span_of(flags):
    """The positions of a 1-D mask that are set; they have to be neighbours."""
    (positions,) = flags.nonzero(as_tuple=True)
    span = Span(int(positions[0]), int(positions[-1]) + 1)
    assert len(positions) == span.stop - span.start
    return span


def gradient_spans(module, inputs, rows, columns):
    """The rows and columns of inputs that a block of outputs depends on; they have to make a rectangle."""
    inputs.requires_grad_()
    outputs = module(inputs)[:, :, rows.start : rows.stop, columns.start : columns.stop]
    (gradient,) = torch.autograd.grad(outputs.sum(), inputs)
    read = (gradient[0] != 0).any(0)
    assert torch.equal(read, read.any(1)[:, None] & read.any(0)[None])
    return span_of(read.any(1)), span_of(read.any(0))


def test_the_encoder_reads_what_it_says(encoder):
    f = encoder.config.downsample_factor
    cells = 2 * (-encoder.reads(Span(0, 1)).start // f + 1) + 3  # enough for the field, whatever the span
    images = noise(1, 3, cells * f, (cells + 2) * f).abs()
    middle = cells // 2
    rows, columns = Span(middle, middle + 1), Span(middle, middle + 3)
    spans = gradient_spans(positive_(encoder), images, rows, columns)
    assert spans == (encoder.reads(rows), encoder.reads(columns))


def test_the_decoder_reads_what_it_says(decoder):
    f = decoder.config.downsample_factor
    reach = -decoder.reads(Span(0, 1)).start
    z_q = noise(1, DIM, 2 * reach + 4, 2 * reach + 4).abs()
    first = (reach + 1) * f
    positive_(decoder)
    for offset in range(f):  # the field of a pixel depends on its place in its cell
        rows, columns = Span(first + offset, first + offset + 1), Span(first + offset, first + offset + f + 1)
        assert gradient_spans(decoder, z_q, rows, columns) == (decoder.reads(rows), decoder.reads(columns))


def test_the_shipped_shape_reads_as_its_card_says():
    # Encoder: one cell is 8 pixels. Two blocks at H/8 reach 4 cells; two convolutions of a block and the
    # first one, at H/4, reach 3 cells of 4 pixels: 4 * 8 + 3 * 4 = 44 on either side.
    assert Encoder(EncoderConfig(widths=(1, 1)), 1).reads(Span(0, 1)) == Span(-44, 52)
    # Decoder: a pixel's 3x3 reaches the next cell at H/4, three blocks there 6 cells more: 7, which lie in 4
    # cells at H/8, where three blocks reach 6 more.
    assert Decoder(DecoderConfig(widths=(1, 1), full_width=1), 1).reads(Span(0, 8)) == Span(-10, 11)


def test_a_pixel_outside_the_field_changes_no_bit_of_a_latent(encoder):
    f = encoder.config.downsample_factor
    rows, columns = encoder.reads(Span(2, 3)), encoder.reads(Span(4, 5))
    images = noise(1, 3, 12 * f, 13 * f)
    outside = torch.ones(12 * f, 13 * f, dtype=torch.bool)
    outside[max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop] = False
    assert outside.any()
    others = torch.where(outside, noise(1, 3, 12 * f, 13 * f, seed=2), images)
    with torch.no_grad():
        before, after = encoder(images), encoder(others)
    assert torch.equal(before[:, :, 2, 4], after[:, :, 2, 4])
    assert not torch.equal(before, after)


def test_a_code_vector_outside_the_field_changes_no_bit_of_a_pixel(decoder):
    f = decoder.config.downsample_factor
    rows, columns = decoder.reads(Span(f, 2 * f)), decoder.reads(Span(6 * f, 7 * f))
    z_q = noise(1, DIM, 14, 15)
    outside = torch.ones(14, 15, dtype=torch.bool)
    outside[max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop] = False
    assert outside.any()
    others = torch.where(outside, noise(1, DIM, 14, 15, seed=2), z_q)
    with torch.no_grad():
        before, after = decoder(z_q), decoder(others)
    cell = (..., slice(f, 2 * f), slice(6 * f, 7 * f))
    assert torch.equal(before[cell], after[cell])
    assert not torch.equal(before, after)


def test_shifting_an_image_by_f_shifts_its_latents(encoder):
    f = encoder.config.downsample_factor
    halo = -(encoder.reads(Span(0, 1)).start // f)
    images = noise(1, 3, (2 * halo + 4) * f, (2 * halo + 5) * f)
    with torch.no_grad():
        z_e = encoder(images)
        shifted = encoder(images.roll((f, 2 * f), dims=(2, 3)))
    # away from the border, and from the seam that rolling makes
    inside = z_e[:, :, halo : -halo - 1, halo : -halo - 2]
    assert inside.numel()
    assert torch.equal(shifted[:, :, halo + 1 : -halo or None, halo + 2 : -halo or None], inside)


def test_shifting_code_vectors_shifts_the_image_by_f(decoder):
    f = decoder.config.downsample_factor
    halo = -decoder.reads(Span(0, f)).start
    z_q = noise(1, DIM, 2 * halo + 4, 2 * halo + 4)
    with torch.no_grad():
        x_hat, shifted = decoder(z_q), decoder(z_q.roll(1, dims=3))
    inside = x_hat[:, :, halo * f : -halo * f, halo * f : -(halo + 1) * f]
    assert inside.numel()
    assert torch.equal(shifted[:, :, halo * f : -halo * f, (halo + 1) * f : -halo * f], inside)


@pytest.mark.parametrize("cells", [(7, 3), (8, 2), (9, 3), (41, 2)])
@torch.no_grad()
def test_the_decoders_head_makes_the_same_of_a_few_rows_at_a_time(decoder, cells):
    z_q = noise(2, DIM, *cells)
    at_once = decoder.head(decoder.layers(decoder.stem(z_q)))
    assert torch.equal(decoder(z_q), at_once)
    with torch.enable_grad():
        assert torch.equal(decoder(z_q.requires_grad_()), at_once)
