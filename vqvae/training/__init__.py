"""Training: photographs in, a model directory out."""

from vqvae.training.loop import Sitting, train
from vqvae.training.start import Start, load_start
from vqvae.training.trainer import TrainingConfig

__all__ = ["Sitting", "Start", "TrainingConfig", "load_start", "train"]
