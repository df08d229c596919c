"""One step of training, and all that it depends on.

First the autoencoder warms up without its quantizer, then k-means starts the codebook, then both train. A
run that begins from a model has that behind it, and may train the decoder alone: the codes stay as they are.

A step is a function of the step's number and the state that a checkpoint holds: crops, k-means and restarts
draw from generators seeded with (seed, step). So a run that is killed anywhere and resumed ends with the
weights of an undisturbed one, on the same machine and thread count. Several processes with a share of each
batch make the steps that one process makes with the whole.

Shapes: B batch, S crop size, D code dim, K codebook size, N latents, f downsample factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqvae.checkpoint import LoadedModel
from vqvae.config import require
from vqvae.errors import ConfigError, TrainingError
from vqvae.model import Autoencoder, AutoencoderConfig, Reconstruction, closed_plane
from vqvae.model.blocks import Conv
from vqvae.perceptual import SMALLEST_SIDE, EfficientNetLite0
from vqvae.quantizers import flatten
from vqvae.training.adversary import Adversary
from vqvae.training.data import BatchShape, CropConfig, Crops
from vqvae.training.flats import flat_images, flat_loss
from vqvae.training.losses import RECONSTRUCTION, grid_loss, ms_ssim_loss
from vqvae.training.optimizers import METHODS, averaged, learning_rate
from vqvae.training.ranks import ALONE, Ranks

Precision = Literal["auto", "float32", "bfloat16"]
Trained = Literal["all", "decoder"]
ADVANCE = 0.05  # share of the steps for which the discriminator learns before it counts
FLATS = 64  # flat images a step
MOVES = 1  # sets the draws of moves apart from others of a step
LATENTS_PER_CODE = 24  # k-means' sample: about 100,000 latents for K = 4096


@dataclass(frozen=True)
class TrainingConfig:
    """What shapes the weights, apart from the model's own configuration and the photographs."""

    trained: Trained = "all"  # "decoder": encoder and codebook stay as the model to begin from has them
    steps: int = 20_000
    batch_size: int = 16
    large_crops: float = 0.2  # share of the steps, the last ones: crops of twice the side, a quarter as many
    crops: CropConfig = field(default_factory=CropConfig)
    loss: str = "root_l2"
    ms_ssim_weight: float = 0.0  # of 1 - MS-SSIM, beside the loss
    flat_weight: float = 0.0  # of the root loss on endless flat images and of their codes' losses
    grid_weight: float = 0.0  # of the patterns that repeat every f pixels in the error
    perceptual_weight: float = 0.0  # of the distance on EfficientNet-Lite0's features, beside the loss
    adversarial_weight: float = (
        0.0  # how hard a discriminator pulls at the pixels, where the losses pull by 1
    )
    adversarial_start: float = 0.5  # share of the steps before the discriminator counts
    warmup: float = 0.05  # share of the steps that train the autoencoder without its quantizer
    settled: float = 0.3  # share of the steps, the last ones, in which no dead code is restarted
    window: int = 100  # steps over which a code's use is counted
    optimizer: str = "muon"
    learning_rate: float = 1.5e-3
    ramp_steps: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0  # largest norm of the gradient
    averaging: float = 0.999
    seed: int = 0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        require(
            self.trained in get_args(Trained),
            f"trained must be one of {', '.join(get_args(Trained))}",
            self.trained,
        )
        require(self.steps >= 1, "steps must be at least 1", self.steps)
        require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)
        require(0 <= self.large_crops <= 1, "large_crops must lie in [0, 1]", self.large_crops)
        require(self.loss in RECONSTRUCTION, f"loss must be one of {', '.join(RECONSTRUCTION)}", self.loss)
        require(self.ms_ssim_weight >= 0, "ms_ssim_weight must not be negative", self.ms_ssim_weight)
        require(self.flat_weight >= 0, "flat_weight must not be negative", self.flat_weight)
        require(self.grid_weight >= 0, "grid_weight must not be negative", self.grid_weight)
        require(self.perceptual_weight >= 0, "perceptual_weight must not be negative", self.perceptual_weight)
        require(
            self.adversarial_weight >= 0, "adversarial_weight must not be negative", self.adversarial_weight
        )
        require(
            self.trained == "decoder" or not self.adversarial_weight,
            "adversarial_weight needs trained=decoder",
            self.trained,
        )
        require(
            0 <= self.adversarial_start < 1, "adversarial_start must lie in [0, 1)", self.adversarial_start
        )
        require(
            self.crops.size >= SMALLEST_SIDE or not (self.perceptual_weight or self.adversarial_weight),
            f"perceptual_weight and adversarial_weight need a crops.size of at least {SMALLEST_SIDE}",
            self.crops.size,
        )
        require(0 <= self.warmup < 1, "warmup must lie in [0, 1)", self.warmup)
        require(0 <= self.settled <= 1, "settled must lie in [0, 1]", self.settled)
        require(self.window >= 1, "window must be at least 1", self.window)
        require(self.optimizer in METHODS, f"optimizer must be one of {', '.join(METHODS)}", self.optimizer)
        require(self.learning_rate > 0, "learning_rate must be positive", self.learning_rate)
        require(0 <= self.averaging < 1, "averaging must lie in [0, 1)", self.averaging)
        require(self.ramp_steps >= 0, "ramp_steps must not be negative", self.ramp_steps)
        require(self.weight_decay >= 0, "weight_decay must not be negative", self.weight_decay)
        require(self.clip > 0, "clip must be positive", self.clip)
        require(self.seed >= 0, "seed must not be negative", self.seed)
        require(
            self.precision in get_args(Precision),
            f"precision must be one of {', '.join(get_args(Precision))}",
            self.precision,
        )

    def batch_shape(self, step: int) -> BatchShape:
        """What a step trains on; k-means, as the step after the last, on crops of the first size."""
        if (1 - self.large_crops) * self.steps <= step < self.steps:
            return BatchShape(max(1, self.batch_size // 4), 2 * self.crops.size)
        return BatchShape(self.batch_size, self.crops.size)

    def check_shares(self, num_processes: int) -> None:
        """ConfigError where some step's crops or flat images cannot be shared out equally."""
        num_crops = [self.batch_shape(step).num_crops for step in (0, self.steps - 1, self.steps)]
        require(
            all(num % num_processes == 0 for num in num_crops),
            f"training.batch_size must be a multiple of {num_processes}, the number of processes, "
            "and so must a quarter of it where training.large_crops is not 0",
            self.batch_size,
        )
        require(
            not self.flat_weight or FLATS % num_processes == 0,
            f"training.flat_weight needs a number of processes that divides {FLATS}",
            num_processes,
        )

    @property
    def warmup_steps(self) -> int:
        """Steps before the codebook starts."""
        return int(self.warmup * self.steps)

    @property
    def adversary_counts_from(self) -> int:
        """Steps before the discriminator pulls at the decoder."""
        return int(self.adversarial_start * self.steps)

    @property
    def adversary_learns_from(self) -> int:
        """Steps before the discriminator begins to learn."""
        return max(0, int((self.adversarial_start - ADVANCE) * self.steps))


class Trainer:
    """Model, averages, optimizer and adversary, and one step of training.

    Args:
        crops: this rank's share.
        start: the model to begin from, of the same configuration; there is no warm-up and no k-means then.
        ranks: the processes that train together, all with the same arguments but for the crops.
    """

    def __init__(
        self,
        model_config: AutoencoderConfig,
        config: TrainingConfig,
        crops: Crops,
        device: torch.device,
        start: LoadedModel | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        config.check_shares(ranks.size)
        torch.manual_seed(config.seed)
        self.config, self.device, self.crops, self.ranks = config, device, crops, ranks
        self.model = Autoencoder(model_config)
        self.warmup_steps = config.warmup_steps if start is None else 0
        self._starts_codebook = start is None
        if start is not None:
            _begin_from_(self.model, start)
        require(
            config.trained == "all" or start is not None,
            "training.trained=decoder needs a model to begin from (--from)",
            "none",
        )
        self.model.to(device)
        self._frozen = config.trained == "decoder"
        if self._frozen:
            self.model.encoder.requires_grad_(False).eval()
            self.model.quantizer.requires_grad_(False).eval()
        # the warm-up does not reach the quantizer's parameters, where its method has any
        some_unused = self.warmup_steps > 0 and bool(list(self.model.quantizer.parameters()))
        self._trained = ranks.replicated(
            self.model.decoder if self._frozen else self.model, some_unused=some_unused
        )
        self.average = averaged(self.model, config.averaging)
        self.optimizers = METHODS[config.optimizer](self.model, config.learning_rate, config.weight_decay)
        self.perceptual = EfficientNetLite0().to(device) if config.perceptual_weight else None
        self._adversary = Adversary(device, ranks) if config.adversarial_weight else None
        self.step = 0  # steps done
        self.code_counts = torch.zeros(model_config.quantizer.codebook_size, dtype=torch.int64, device=device)
        self.usage_counts = self.code_counts.clone()  # of the last full window
        self._loss = RECONSTRUCTION[config.loss]
        self._bfloat16 = config.precision == "bfloat16" or (
            config.precision == "auto" and has_bfloat16(device)
        )

    @property
    def averaged_model(self) -> Autoencoder:
        """The model whose weights are the moving average."""
        return cast(Autoencoder, self.average.module)

    @property
    def starts_codebook_next(self) -> bool:
        """Whether the next step begins with k-means."""
        return self._starts_codebook and self.step == self.warmup_steps

    def train_step_(self, crops: NDArray[np.uint8]) -> dict[str, Tensor]:
        """One step on this rank's crops (B, S, S, 3); returns the losses of all."""
        config = self.config
        quantize = self.step >= self.warmup_steps
        if self.starts_codebook_next:
            self.start_codebook_(self.model)
            self.average.n_averaged.zero_()  # the next update copies
        rate = learning_rate(
            self.step, steps=config.steps, peak=config.learning_rate, ramp_steps=config.ramp_steps
        )
        self.optimizers.set_learning_rate_(rate)
        images = to_images(crops, self.device)
        out = self._pass(images, quantize)
        losses = self._losses(out, images)
        passes = [out]
        loss = torch.stack(list(losses.values())).sum()
        if config.flat_weight and quantize:
            flats = self._flats()
            passes.append(self._pass_on_closed_plane(flats))
            losses["flat"] = config.flat_weight * _flat_loss(passes[-1], flats)
        self.optimizers.zero_grad()
        if self._adversary is not None and self.step >= config.adversary_counts_from:
            last = cast(Conv, self.model.decoder.head[-1]).weight
            losses["adversarial"] = self._adversary.backward_(
                loss, out.x_hat, last, config.adversarial_weight, moved=self._moved, beside=losses.get("flat")
            )
        else:
            torch.autograd.backward(loss + losses["flat"] if "flat" in losses else loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        loss = self.ranks.mean(torch.stack([value.detach() for value in losses.values()]).sum())
        if not (norm + loss).isfinite():
            raise TrainingError(
                f"step {self.step + 1} is not finite, its loss is {loss.item():g}, its gradient {norm:g}; "
                "begin again with a lower training.learning_rate or training.precision=float32"
            )
        self.optimizers.step()
        if self._adversary is not None and self.step >= config.adversary_learns_from:
            losses["discriminator"] = self._adversary.learn_(self._moved(images), self._moved(out.x_hat))
        self.step += 1
        if quantize:
            self._follow_codes_(passes)
        self.average.update_parameters(self.model)
        values = self.ranks.mean(torch.stack([value.detach() for value in losses.values()]))
        return dict(zip(losses, values.unbind(), strict=True))

    def _pass(self, images: Tensor, quantize: bool) -> Reconstruction:
        return self._decode(images) if self._frozen else self._reconstruct(images, quantize)

    def _flats(self) -> Tensor:
        """This rank's flat images (B, 3, f, f), each a cell of an endless one."""
        side, generator = self.model.config.downsample_factor, seeded(self.config.seed, self.step, FLATS)
        images = flat_images(FLATS, side, generator).chunk(self.ranks.size)[self.ranks.rank]
        return images.to(self.device)

    def _pass_on_closed_plane(self, images: Tensor) -> Reconstruction:
        with closed_plane(self.model):
            return self._pass(images, quantize=True)

    def _reconstruct(self, images: Tensor, quantize: bool) -> Reconstruction:
        with self.autocast():
            out: Reconstruction = self._trained(images, quantize=quantize)
        return out

    def _decode(self, images: Tensor) -> Reconstruction:
        """Reconstruct from the very codes that the model will have in use: those of float32."""
        with torch.no_grad():
            z_e = self.model.encoder(images)
            quantized = self.model.quantizer(z_e)
        with self.autocast():
            x_hat = self._trained(quantized.z_q)
        return Reconstruction(x_hat, z_e, quantized)

    def _losses(self, out: Reconstruction, images: Tensor) -> dict[str, Tensor]:
        """What the step lessens, each with its weight."""
        losses = {"reconstruction": self._loss(out.x_hat, images)}
        if self.config.ms_ssim_weight:
            losses["ms_ssim"] = self.config.ms_ssim_weight * ms_ssim_loss(out.x_hat, images)
        if self.config.grid_weight:
            cell = self.model.config.downsample_factor
            losses["grid"] = self.config.grid_weight * grid_loss(out.x_hat, images, cell)
        if self.perceptual is not None:
            distances = self.perceptual(self._moved(out.x_hat.float()), self._moved(images))
            losses["perceptual"] = self.config.perceptual_weight * distances.mean()
        if out.quantized is not None:
            losses |= {"codebook": out.quantized.codebook_loss, "commitment": out.quantized.commitment_loss}
        return losses

    def _moved(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) by a few pixels, round the border; all of a step by the same.

        A network's strides see some pixels of a patch more than others, and print that grid into the decoder
        unless it lies elsewhere at every step.
        """
        f, generator = self.model.config.downsample_factor, seeded(self.config.seed, self.step, MOVES)
        rows, columns = torch.randint(f, (2,), generator=generator).tolist()
        return pictures.roll((rows, columns), (2, 3))

    def _follow_codes_(self, passes: Sequence[Reconstruction]) -> None:
        """Let the quantizer move its codebook; at a window's end restart the codes that died in it."""
        quantizer = self.model.quantizer
        latents = [flatten(out.z_e.detach()) for out in passes]  # (N, D) each
        codes = torch.cat([out.quantized.codes.flatten() for out in passes if out.quantized is not None])
        if not self._frozen:
            quantizer.update_(torch.cat(latents), codes, self.ranks.total)
        self.code_counts += self.ranks.total(torch.bincount(codes, minlength=len(self.code_counts)))
        if (self.step - self.warmup_steps) % self.config.window == 0:
            if not self._frozen and self.step < (1 - self.config.settled) * self.config.steps:
                generator = seeded(self.config.seed, self.step)
                sample = torch.cat([self.ranks.gathered(rows) for rows in latents])
                self.ranks.decide_(
                    quantizer, lambda: quantizer.restart_dead_codes_(self.code_counts, sample, generator)
                )
            self.usage_counts.copy_(self.code_counts)
            self.code_counts.zero_()

    @torch.no_grad()
    def start_codebook_(self, model: Autoencoder) -> None:
        """Standardise a model's latents, and start its codebook by k-means over crops that no step sees."""
        num_latents = LATENTS_PER_CODE * self.model.config.quantizer.codebook_size
        latents: list[Tensor] = []
        batches = self.crops.batches(self.config.steps)
        while sum(map(len, latents)) < num_latents:
            with self.autocast():
                own = flatten(model.encoder(to_images(next(batches), self.device)).float())
            latents.append(self.ranks.gathered(own))
        sample = torch.cat(latents)

        def start() -> None:
            model.standardise_latents_(sample)
            standardised = (sample - sample.mean(0)) / sample.std(0).clamp(min=1e-6)
            model.quantizer.init_codebook_(standardised, seeded(self.config.seed, self.config.steps))

        self.ranks.decide_(model, start)

    def autocast(self) -> torch.autocast:
        """bfloat16 where it is asked for or the processor has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "adversary": self._adversary and self._adversary.state_dict(),
            "code_counts": self.code_counts,
            "usage_counts": self.usage_counts,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizers.load_state_dict(state["optimizers"])
        if self._adversary is not None:
            self._adversary.load_state_dict(state["adversary"])
        self.code_counts.copy_(state["code_counts"])
        self.usage_counts.copy_(state["usage_counts"])


def _flat_loss(out: Reconstruction, images: Tensor) -> Tensor:
    """What came back of images (B, 3, f, f), and how far latents and code vectors are from each other: ()."""
    assert out.quantized is not None
    # without a commitment the straight-through gradients would drive the latents away without end
    return flat_loss(out.x_hat, images) + out.quantized.codebook_loss + out.quantized.commitment_loss


def _begin_from_(model: Autoencoder, start: LoadedModel) -> None:
    """Put a loaded model's tensors into a model; ConfigError where it is of another shape."""
    try:
        for part, loaded in ((model.encoder, start.encoder), (model.decoder, start.decoder)):
            if loaded is not None:
                part.load_state_dict(loaded.state_dict())
        model.quantizer.load_inference_state_(start.quantizer.inference_state())
    except RuntimeError as error:
        raise ConfigError(f"{start.card.space.short} is of another shape than the model: {error}") from error


def to_images(crops: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Crops (B, S, S, 3) uint8 -> images (B, 3, S, S) in [-1, 1], of torch's default dtype, channels-last."""
    images = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2)
    return images.to(torch.get_default_dtype()).div_(127.5).sub_(1)


def seeded(*entropy: int) -> torch.Generator:
    """A generator that is a function of some integers."""
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
