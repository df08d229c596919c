"""Optimizer, learning-rate schedule and averaged weights."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW in its fused form; biases and codebooks do not decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim == 4], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim != 4], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), fused=True)


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
