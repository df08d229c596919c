import torch

from vqvae.training.losses import RECONSTRUCTION, l2


def test_the_squared_error_is_counted_in_the_variance_of_photographs():
    images = torch.tensor([0.0, 0.0, 0.5, -1.0]).view(1, 1, 2, 2)
    x_hat = torch.tensor([0.0, 1.0, 0.0, -1.0]).view(1, 1, 2, 2)
    assert l2(x_hat, images).item() == 1.25  # (0 + 1 + 0.25 + 0) / 4 numbers / 0.25


def test_the_loss_is_float32_whatever_the_network_computed_in():
    images = torch.full((1, 3, 2, 2), 0.5)
    for name, loss in RECONSTRUCTION.items():
        assert loss(images.bfloat16(), images).dtype == torch.float32, name
        assert loss(images, images) == 0, name
