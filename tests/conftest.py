"""The test run's options: `--kodak=FOLDER` gives the Kodak photographs, `--slow` the slow tests.

The `=` matters: before these options are known, pytest takes a word of its own for a path to tests.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
START_S = 300  # a busy machine is no failure

# a busy machine is no failure
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "siege", parent=hypothesis.settings.get_profile("patient"), max_examples=2000
)
hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kodak", type=Path, metavar="FOLDER", help="folder with kodim01.png to kodim24.png")
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes or much memory; runs with --slow")
    folder = config.getoption("--kodak")
    if folder is not None and len(list(folder.glob("kodim*.png"))) != 24:
        raise pytest.UsageError(f"--kodak= must name a folder with kodim01.png to kodim24.png, got {folder}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow; give --slow"))


@pytest.fixture(scope="session")
def kodak(request: pytest.FixtureRequest) -> Path:
    """The folder of the 24 Kodak photographs; without it the test is skipped."""
    folder = request.config.getoption("--kodak")
    if folder is None:
        pytest.skip("needs the Kodak photographs; give --kodak=FOLDER")
    return Path(folder)


def save_tiny_model(folder: Path, name: str, seed: int) -> None:
    """f = 8 and K = 64 at a few thousand parameters, random ones, in `folder / name`."""
    import torch  # noqa: PLC0415 - many tests need none

    from vqvae.checkpoint import save_model  # noqa: PLC0415
    from vqvae.model import Autoencoder, AutoencoderConfig, DecoderConfig, EncoderConfig  # noqa: PLC0415
    from vqvae.quantizers import EmaQuantizerConfig, flatten  # noqa: PLC0415

    config = AutoencoderConfig(
        EncoderConfig(patch=4, widths=(8, 12), blocks=(1, 1)),
        EmaQuantizerConfig(codebook_size=64, codebook_dim=4),
        DecoderConfig(patch=4, widths=(8, 12), blocks=(1, 1), full_width=6),
    )
    generator = torch.Generator().manual_seed(seed)
    model = Autoencoder(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            scale = max(1, parameter[0].numel()) ** -0.5
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
        latents = model.encoder(2 * torch.rand(2, 3, 128, 128, generator=generator) - 1)
        model.quantizer.init_codebook_(flatten(latents), generator)
    save_model(
        folder / name,
        name=name,
        encoder=model.encoder,
        quantizer=model.quantizer,
        decoders={"faithful": model.decoder},
        training_data=[{"name": "noise", "licence": "CC0-1.0"}],
        figures={"psnr": 7.5},
    )


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models `tiny` and `other`, alike but for their weights."""
    folder = tmp_path_factory.mktemp("weights")
    save_tiny_model(folder, "tiny", seed=1)
    save_tiny_model(folder, "other", seed=2)
    return folder


@pytest.fixture(scope="session")
def two_decoders(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model `tiny`, as `two`, with the decoder of `other` as a second one, `vivid`."""
    from vqvae.checkpoint import load_model, save_model  # noqa: PLC0415 - many tests need no torch

    tiny, other = load_model(weights / "tiny"), load_model(weights / "other")
    assert tiny.encoder is not None
    assert tiny.decoder is not None
    assert other.decoder is not None
    folder = tmp_path_factory.mktemp("models") / "two"
    save_model(
        folder,
        name="two",
        encoder=tiny.encoder,
        quantizer=tiny.quantizer,
        decoders={"faithful": tiny.decoder, "vivid": other.decoder},
    )
    return folder


@pytest.fixture(scope="session")
def shipped_service() -> Iterator[str]:
    """Host and port of a running service with the shipped weights."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = subprocess.Popen(
        [sys.executable, "-m", "service"], cwd=ROOT, env={**os.environ, "VQVAE_SERVE_PORT": str(port)}
    )
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
                break
            except OSError:
                assert service.poll() is None, "the service ended while it started"
                assert time.monotonic() < deadline, f"the service was not ready within {START_S} s"
                time.sleep(0.25)
        yield f"127.0.0.1:{port}"
    finally:
        service.terminate()
        service.wait(60)


@pytest.fixture(scope="module")
def only_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where several processes run the tests, one at a time has Ray on this machine."""
    import fcntl  # noqa: PLC0415 - Windows has none, nor Ray's clusters

    with (tmp_path_factory.getbasetemp().parent / "ray.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True)
    (path,) = folder.glob("vqvae-*-py3-none-any.whl")
    return path


@pytest.fixture
def one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports read the smallest page alone: tesseract takes its time over what no tiny model can write."""
    from vqvae.quality import text  # noqa: PLC0415 - needs the extra

    monkeypatch.setattr(text, "CAP_HEIGHTS", (11,))
