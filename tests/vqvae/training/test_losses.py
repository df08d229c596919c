import numpy as np
import pytest
import torch

from vqvae.training.losses import RECONSTRUCTION, charbonnier, grid_loss, l1, l2, ms_ssim_loss, root_l2

IMAGES = torch.tensor([0.0, 0.0, 0.5, -1.0]).view(1, 1, 2, 2)
X_HAT = torch.tensor([0.0, 1.0, 0.0, -1.0]).view(1, 1, 2, 2)


def test_losses_are_those_worked_by_hand():
    assert l2(X_HAT, IMAGES).item() == 1.25  # (0 + 1 + 0.25 + 0) / 4 numbers / 0.25
    assert l1(X_HAT, IMAGES).item() == pytest.approx(1.5 / 4 / 0.42)
    # sqrt(1 + 0.05^2) - 0.05 and sqrt(0.5^2 + 0.05^2) - 0.05
    assert charbonnier(X_HAT, IMAGES).item() == pytest.approx((0.951249 + 0.452494) / 4 / 0.42, abs=1e-5)


def test_the_root_is_taken_of_each_crop_alone():
    both_x_hat, both = torch.cat([X_HAT, IMAGES]), torch.cat([IMAGES, IMAGES])
    # sqrt(1.25 / 4 + 0.00002) - 0.004472 for the first, nothing for the second; over 0.5
    assert root_l2(both_x_hat, both).item() == pytest.approx((0.559035 - 0.004472) / 2 / 0.5, abs=1e-5)


def test_the_loss_is_float32_whatever_the_network_computed_in():
    images = torch.full((1, 3, 2, 2), 0.5)
    for name, loss in RECONSTRUCTION.items():
        assert loss(images.bfloat16(), images).dtype == torch.float32, name
        assert loss(images, images) == 0, name


@pytest.mark.parametrize("side", [11, 21, 22, 64, 176, 200])
def test_ms_ssim_has_as_many_scales_as_a_crop_has_room_for(side):
    random = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, side, side, generator=random) * 2 - 1
    noisy = (images + 0.2 * torch.randn(images.shape, generator=random)).requires_grad_()
    loss = ms_ssim_loss(noisy, images)
    loss.backward()
    assert 0 < loss < 1
    assert noisy.grad.isfinite().all()
    assert ms_ssim_loss(images, images) == pytest.approx(0, abs=1e-6)


def test_a_grid_counts_by_its_amplitude_and_nothing_else_does():
    images = torch.rand(2, 3, 64, 96) - 0.5
    cell = torch.zeros(8, 8)
    cell[::4, ::4] = 0.4
    assert grid_loss(images + cell.repeat(8, 12), images, 8).item() == pytest.approx(
        cell.std(correction=0) / 0.5
    )
    assert grid_loss(images + 0.3, images, 8).item() == pytest.approx(0, abs=3e-4)  # a tint
    noise = 0.4 * torch.randn(images.shape)
    assert grid_loss(images + noise, images, 8).item() < 0.2 * noise.std() / 0.5


def test_one_scale_of_ms_ssim_is_ssim():
    from vqvae.metrics import ssim  # noqa: PLC0415

    random = np.random.default_rng(0)
    a, b = (random.integers(0, 256, (21, 21, 3), dtype=np.uint8) for _ in range(2))
    planes = [
        torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 127.5 - 1 for rgb in (a, (a // 2 + b // 2))
    ]
    assert 1 - ms_ssim_loss(*planes).item() == pytest.approx(ssim_of_shifted(planes), abs=1e-5)
    assert ssim(a, a) == 1.0


def ssim_of_shifted(planes):
    """SSIM with a range of 2 about zero, from its definition, in float64."""
    taps = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2
    x, y = (plane[0].double().numpy() for plane in planes)
    values = []
    for c in range(3):
        for top in range(x.shape[1] - 10):
            for left in range(x.shape[2] - 10):
                p, q = (z[c, top : top + 11, left : left + 11] for z in (x, y))
                mean_p, mean_q = (window * p).sum(), (window * q).sum()
                cov = (window * (p - mean_p) * (q - mean_q)).sum()
                var = (window * (p - mean_p) ** 2).sum() + (window * (q - mean_q) ** 2).sum()
                luminance = (2 * mean_p * mean_q + 0.0004) / (mean_p**2 + mean_q**2 + 0.0004)
                values.append(luminance * (2 * cov + 0.0036) / (var + 0.0036))
    return np.mean(values)
