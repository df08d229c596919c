"""The adversary of a decoder: a small network that learns to tell reconstructions from photographs.

A PatchGAN (Isola et al., 2017, https://arxiv.org/abs/1611.07004): one verdict for every 8x8 pixels, each from
70x70 pixels, so it judges texture and not what is in the picture. Where that one strides, this one averages:
the gradients of strided kernels are unlike from pixel to pixel, and within 200 steps they had printed a grid
of 4 pixels into the reconstructions.

Shapes: B batch, H W image height and width.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim import AdamW

from vqvae.training.ranks import ALONE, Ranks

WIDTHS = (32, 64, 128, 256)  # channels at H, H/2, H/4 and H/8
LEARNING_RATE = 4e-4


class Discriminator(nn.Sequential):
    """images (B, 3, H, W) in [-1, 1] -> verdicts (B, 1, H/8, W/8), high for photographs.

    Spectral normalisation (Miyato et al., 2018, https://arxiv.org/abs/1802.05957) keeps its verdicts from
    jumping, and needs no statistics over a batch of two.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = [spectral_norm(nn.Conv2d(3, WIDTHS[0], 3, padding=1)), nn.LeakyReLU(0.2)]
        for finer, coarser in pairwise(WIDTHS):
            convolution = spectral_norm(nn.Conv2d(finer, coarser, 3, padding=1))
            layers += [nn.AvgPool2d(2), convolution, nn.LeakyReLU(0.2)]
        super().__init__(*layers, spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 5, padding=2)))


class Adversary:
    """A discriminator with its optimizer, in float32: bfloat16 is too coarse for its spectral norms."""

    def __init__(self, device: torch.device, ranks: Ranks = ALONE) -> None:
        self.discriminator = Discriminator().to(device)
        self._ranks = ranks
        self._learner = ranks.replicated(self.discriminator)
        self._optimizer = AdamW(
            self.discriminator.parameters(), LEARNING_RATE, betas=(0.5, 0.9), weight_decay=0.0, fused=True
        )

    def backward_(
        self,
        loss: Tensor,
        x_hat: Tensor,
        last: Tensor,
        weight: float,
        *,
        moved: Callable[[Tensor], Tensor] = lambda x_hat: x_hat,
        beside: Tensor | None = None,
    ) -> Tensor:
        """Backward from a loss () of reconstructions (B, 3, H, W), the verdicts on them, and `beside`.

        At the decoder's last weights the verdicts pull with `weight` times the loss's force, as in VQGAN
        (Esser et al., 2021, https://arxiv.org/abs/2012.09841, eq. 7). Otherwise a weight would mean something
        else at every step, since a discriminator's gradient grows and shrinks as it learns. Returns the
        decoder's side of the hinge loss, ().

        Args:
            moved: how the discriminator gets to see the reconstructions.
            beside: a loss () of other reconstructions, on which there is no verdict.
        """
        verdicts: Tensor = self.discriminator(moved(x_hat).to(last.dtype))
        objection = -verdicts.mean()
        (of_loss,) = torch.autograd.grad(loss, x_hat)
        (of_objection,) = torch.autograd.grad(objection, x_hat)
        # of the whole batch: DistributedDataParallel averages only what a backward pass leaves in .grad
        forces = [
            self._ranks.mean(torch.autograd.grad(x_hat, last, pull, retain_graph=True)[0]).norm()
            for pull in (of_loss, of_objection)
        ]
        share = weight * forces[0] / forces[1].clamp(min=1e-12)
        pull = of_loss + share.to(x_hat.dtype) * of_objection
        if beside is None:
            torch.autograd.backward(x_hat, pull)
        else:
            torch.autograd.backward((x_hat, beside), (pull, torch.ones_like(beside)))
        return objection.detach()

    def learn_(self, images: Tensor, x_hat: Tensor) -> Tensor:
        """One step on photographs and reconstructions of them, both (B, 3, H, W); returns its loss, ()."""
        verdicts: Tensor = self._learner(torch.cat([images, x_hat.detach().to(images.dtype)]))
        loss = hinge_loss(*verdicts.chunk(2))
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """What its next step depends on."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.discriminator.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])


def hinge_loss(of_photographs: Tensor, of_reconstructions: Tensor) -> Tensor:
    """What a discriminator's verdicts lack to be at least 1 and at most -1, on average over both."""
    return (F.relu(1 - of_photographs).mean() + F.relu(1 + of_reconstructions).mean()) / 2
