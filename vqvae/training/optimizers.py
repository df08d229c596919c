"""Optimizers, learning-rate schedule and averaged weights."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer
from torch.optim.swa_utils import AveragedModel

WIDE = 32  # channels on both sides from which a kernel is a matrix worth making orthogonal


class Optimizers:
    """Some optimizers that step as one, at one learning rate."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self._optimizers = optimizers

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._optimizers[0].param_groups[0]["lr"])

    def set_learning_rate_(self, rate: float) -> None:
        """Choose the rate of the next step."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimizer in self._optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        """Move the parameters along their gradients."""
        for optimizer in self._optimizers:
            optimizer.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """What the next step depends on, beside the parameters."""
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """The inverse of `state_dict`."""
        for optimizer, state in zip(self._optimizers, states, strict=True):
            optimizer.load_state_dict(state)


class KernelMuon(Muon):
    """Muon for kernels of convolutions, (C_out, C_in, k, k) each, taken as matrices (C_out, k*k*C_in).

    Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) takes the momentum of a matrix to
    the nearest orthogonal matrix, so that all its directions move alike. The step has the size that AdamW's
    would have (Liu et al., 2025, https://arxiv.org/abs/2502.16982), so one learning rate serves both.
    """

    def __init__(self, kernels: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        self._kernels = kernels
        # the same memory: kernels lie channels-last, where (C_out, k, k, C_in) flattens without a copy
        self._matrices = [nn.Parameter(_matrix(kernel.detach())) for kernel in kernels]
        super().__init__(
            self._matrices,
            lr=learning_rate,
            weight_decay=weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of kernels and matrices."""
        super().zero_grad(set_to_none)
        for kernel in self._kernels:
            kernel.grad = None

    def step(self, closure: Any = None) -> Any:
        """Move the kernels along the gradients they hold."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None if kernel.grad is None else _matrix(kernel.grad)
        return super().step(closure)  # type: ignore[no-untyped-call]  # of torch


def _matrix(kernel: Tensor) -> Tensor:
    """(C_out, C_in, k, k) -> (C_out, k*k*C_in)."""
    return kernel.permute(0, 2, 3, 1).reshape(len(kernel), -1)


def adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> Optimizers:
    """AdamW in its fused form; biases and codebooks do not decay."""
    return Optimizers([_adamw(list(_trained(model)), learning_rate, weight_decay)])


def muon(model: nn.Module, learning_rate: float, weight_decay: float) -> Optimizers:
    """Muon for the kernels between wide layers, AdamW for all else: narrow ones, biases, codebooks."""
    parameters = list(_trained(model))
    kernels = [p for p in parameters if p.ndim == 4 and min(p.shape[:2]) >= WIDE]
    others = [p for p in parameters if not any(p is kernel for kernel in kernels)]
    optimizers: list[Optimizer] = [_adamw(others, learning_rate, weight_decay)]
    if kernels:
        optimizers.append(KernelMuon(kernels, learning_rate, weight_decay))
    return Optimizers(optimizers)


METHODS: dict[str, Callable[[nn.Module, float, float], Optimizers]] = {"adamw": adamw, "muon": muon}


def _trained(model: nn.Module) -> Iterator[nn.Parameter]:
    return (parameter for parameter in model.parameters() if parameter.requires_grad)


def _adamw(parameters: Sequence[nn.Parameter], learning_rate: float, weight_decay: float) -> AdamW:
    groups = [
        {"params": [p for p in parameters if p.ndim == 4], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim != 4], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), fused=True)


def learning_rate(step: int, *, steps: int, peak: float, ramp_steps: int) -> float:
    """A linear ramp to the peak, then a cosine to zero at the last step."""
    ramp_steps = min(ramp_steps, steps // 10)
    if step < ramp_steps:
        return peak * (step + 1) / ramp_steps
    return peak * (1 + math.cos(math.pi * (step - ramp_steps) / (steps - ramp_steps))) / 2


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of a model that follows its weights and codebook by a moving average.

    The decay starts low, so that the first weights are soon forgotten: min(decay, (1 + n) / (10 + n)).
    """

    @torch.no_grad()
    def follow(averages: Sequence[Tensor], currents: Sequence[Tensor], num_averaged: Any) -> None:
        n = float(num_averaged)
        share = 1 - min(decay, (1 + n) / (10 + n))
        for average, current in zip(averages, currents, strict=True):
            average.lerp_(current, share)

    return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)
