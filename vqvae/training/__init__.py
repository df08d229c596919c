"""Training: photographs in, a model directory out."""

from vqvae.training.loop import Sitting, train
from vqvae.training.trainer import TrainingConfig

__all__ = ["Sitting", "TrainingConfig", "train"]
