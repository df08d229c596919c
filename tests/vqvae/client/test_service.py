"""Both clients and the service itself, over real sockets."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqvae import Client
from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import FingerprintError, ImageError, ItemError, ServiceError, ServiceProblem
from vqvae.metrics import psnr, ssim
from vqvae.pixels import decode_image

ROOT = Path(__file__).parents[3]


def images_of(sizes):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for width, height in sizes]


@pytest.fixture(scope="module")
def small_images():
    return images_of([(40 + i, 30 + 2 * i) for i in range(40)])


def test_every_form_of_an_image_has_the_librarys_codes(client, tokenizer, photo, png, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(png)
    expected = tokenizer.encode(photo)
    for image in (photo, png, path, str(path), Image.fromarray(photo), Image.open(path)):
        assert client.encode(image) == expected


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_listed_type_goes_as_it_is(client, tokenizer, photo, tmp_path, kind):
    path = tmp_path / "photo"
    Image.fromarray(photo).save(path, kind)
    assert client.encode(path) == tokenizer.encode(decode_image(path.read_bytes()))


def test_codes_become_the_librarys_image(client, tokenizer, photo):
    image = client.decode(tokenizer.encode(photo))
    assert image.mode == "RGB"
    assert np.array_equal(image, tokenizer.reconstruct(photo))


def test_a_reconstruction_has_its_figures(client, tokenizer, photo):
    reconstruction = client.reconstruct(photo, decoder="faithful")
    assert np.array_equal(reconstruction.image, tokenizer.reconstruct(photo))
    assert reconstruction.psnr == pytest.approx(psnr(photo, np.asarray(reconstruction.image)))
    assert reconstruction.ssim == pytest.approx(ssim(photo, np.asarray(reconstruction.image)))
    assert reconstruction.bits_per_pixel == tokenizer.encode(photo).bits_per_pixel
    assert reconstruction.fingerprint == tokenizer.space.fingerprint
    assert client.reconstruct(photo[:5]).ssim is None


def test_another_model_by_name_and_as_the_clients_own(make_client, service, other_tokenizer, photo):
    expected = other_tokenizer.encode(photo)
    assert make_client(service.url).encode(photo, model="other") == expected
    client = make_client(service.url, model="other")
    assert client.encode(photo) == expected
    assert list(client.encode_many([photo])) == [expected]
    assert client.reconstruct(photo).model == "other"
    assert client.model().name == "other"


def test_models_are_named_values(client, tokenizer, other_tokenizer):
    tiny, other = client.models()
    assert tiny.space == tokenizer.space
    assert tiny.is_default
    assert not other.is_default
    assert other.fingerprint == other_tokenizer.space.fingerprint
    assert client.model() == tiny
    assert client.model("other") == other
    assert tiny.limits.body_bytes == 20_000_000
    assert tiny.limits.image_pixels == 2**24
    assert tiny.decoder == "faithful"
    assert tiny.card["figures"] == {"psnr": 7.5}
    with pytest.raises(ServiceProblem, match="no model of this name") as caught:
        client.model("nope")
    assert caught.value.status == 404


def test_a_service_says_when_it_is_ready(client):
    assert client.ready() is True


def test_problems_are_typed_and_find_their_request_in_the_log(client, service, png):
    with pytest.raises(ImageError) as caught:
        client.encode(png[:80])
    error = caught.value
    assert (error.status, error.type) == (422, "urn:vqvae:problem:undecodable-image")
    assert error.title == "The image cannot be decoded"
    assert error.detail in str(error)
    assert f"{error.request_id} POST /v1/encode 422" in service.log.read_text()
    with pytest.raises(ServiceProblem, match="decoder must be one of tiny's, faithful"):
        client.reconstruct(png, decoder="vivid")


def test_codes_of_no_loaded_model_are_a_fingerprint_error(client, tokenizer, photo):
    grid = tokenizer.encode(photo)
    foreign = CodeGrid(grid.codes, grid.width, grid.height, CodeSpace("photo-f8", "0f" * 32, 64, 8))
    with pytest.raises(FingerprintError) as caught:
        client.decode(foreign)
    assert caught.value.status == 409
    assert caught.value.actual == "0f" * 32
    assert tokenizer.space.fingerprint in caught.value.expected.split(" or ")
    outcomes = list(client.decode_many([grid, foreign, grid], errors="yield"))
    assert isinstance(outcomes[1].error, FingerprintError)
    assert outcomes[1].error.actual == "0f" * 32
    assert np.array_equal(outcomes[2], tokenizer.reconstruct(photo))


def test_a_given_fingerprint_of_another_model_is_found_with_the_first_codes(make_client, service, photo):
    with pytest.raises(FingerprintError, match="do not mix"):
        make_client(service.url, fingerprint="0f" * 32).encode(photo)


def test_many_images_keep_their_order_and_share_requests(client, service, tokenizer, small_images):
    before = num_requests(service)
    grids = list(client.encode_many(small_images))
    assert grids == tokenizer.encode(small_images)
    assert num_requests(service) - before == 2  # of 32 and 8


def test_many_grids_become_the_librarys_images(client, tokenizer, small_images):
    grids = tokenizer.encode(small_images)
    decoded = list(client.decode_many(iter(grids), max_in_flight=2))
    for image, expected in zip(decoded, tokenizer.decode(grids), strict=True):
        assert np.array_equal(image, expected)


def test_an_array_of_many_images_is_many_images(client, tokenizer, photo):
    assert list(client.encode_many(np.stack([photo, 255 - photo]))) == tokenizer.encode([photo, 255 - photo])


@pytest.fixture
def with_bad_ones(small_images, png, tmp_path):
    """Images of which numbers 3, 5 and 8 are none."""
    cut = tmp_path / "cut.png"
    cut.write_bytes(png[:80])
    images = [*small_images[:10]]
    images[3], images[5], images[8] = cut, tmp_path / "missing.png", b"no image"
    return images


def test_a_bad_image_fails_alone_and_in_its_place(client, tokenizer, small_images, with_bad_ones):
    seen = []
    outcomes = list(client.encode_many(with_bad_ones, errors="yield", on_progress=seen.append))
    failed = {outcome.index: outcome for outcome in outcomes if isinstance(outcome, ItemError)}
    assert list(failed) == [3, 5, 8]
    assert [i for i, outcome in enumerate(outcomes) if isinstance(outcome, ItemError)] == [3, 5, 8]
    assert all(isinstance(error.error, ImageError) for error in failed.values())
    assert re.search(r"number 3 \(.*cut\.png\): .*422", str(failed[3]))
    assert failed[5].source.endswith("missing.png")
    assert "cannot be read" in str(failed[5])
    assert failed[8].error.status == 415
    assert failed[8].error.request_id
    for i in set(range(10)) - set(failed):
        assert outcomes[i] == tokenizer.encode(small_images[i])
    assert (seen[-1].done, seen[-1].failed, seen[-1].total) == (10, 3, 10)


def test_unless_told_the_first_bad_image_ends_it_after_those_before_it(client, with_bad_ones):
    results = client.encode_many(with_bad_ones)
    assert len(list(islice(results, 3))) == 3
    with pytest.raises(ItemError, match="number 3") as caught:
        next(results)
    assert isinstance(caught.value.__cause__, ImageError)
    assert any("errors='yield'" in note for note in caught.value.__notes__)
    assert list(results) == []


def test_what_failed_before_it_was_codes_fails_in_its_place_again(client, with_bad_ones):
    encoded = list(client.encode_many(with_bad_ones, errors="yield"))
    outcomes = list(client.decode_many(encoded, errors="yield"))
    assert [i for i, outcome in enumerate(outcomes) if isinstance(outcome, ItemError)] == [3, 5, 8]
    assert outcomes[3].error is encoded[3].error
    assert outcomes[3].source == encoded[3].source


@pytest.fixture(scope="module")
def tight_service(start_service):
    return start_service(
        body_bytes=60_000,
        image_megapixels=0.0625,  # 65536 pixels
        request_megapixels=0.07,
        images_per_request=3,
        codes_per_request=150,
        queue_megapixels=0.3,
    )


def test_tiny_limits_are_kept(make_client, tight_service, tokenizer):
    log_before = len(tight_service.log.read_text())
    images = images_of([(24, 24)] * 7 + [(120, 120)] * 3 + [(250, 250)] + [(24, 24)])
    client = make_client(tight_service.url)
    outcomes = list(client.encode_many(images, errors="yield"))
    for outcome, image in zip(outcomes, images, strict=True):
        if len(image) == 250:  # noise is more bytes than pixels allow for
            assert outcome.error.status == 413
            assert outcome.error.limit == 60_000
        else:
            assert outcome == tokenizer.encode(image)
    log = tight_service.log.read_text()[log_before:]
    assert log.count("/v1/encode 413") == 1  # that of the large one, alone
    grids = tokenizer.encode(images[:10])
    decoded = list(client.decode_many(grids, errors="yield"))
    for i, (image, grid) in enumerate(zip(decoded, grids, strict=True)):
        if grid.codes.size > 150:
            assert image.error.status == 413, i
        else:
            assert np.array_equal(image, tokenizer.decode(grid))


@pytest.fixture(scope="module")
def narrow_service(start_service):
    return start_service(queue_megapixels=0.6, images_per_request=1)


def test_a_queue_that_is_full_is_waited_for(make_client, narrow_service, tokenizer):
    # one is in the queue at a time, and its file is small and its work long
    images = [np.full((768, 768, 3), 40 * i, np.uint8) for i in range(6)]
    grids = list(make_client(narrow_service.url).encode_many(images, max_in_flight=6))
    assert grids == tokenizer.encode(images)
    assert "/v1/encode 429" in narrow_service.log.read_text()


def test_an_endless_source_is_taken_from_as_needed(client, tokenizer, photo):
    endless = (photo for _ in count())
    grids = list(islice(client.encode_many(endless), 3))
    assert grids == [tokenizer.encode(photo)] * 3


def test_a_service_that_ends_in_the_middle_is_a_service_error(make_client, start_service, photo):
    service = start_service()
    client = make_client(service.url, max_attempts=2)
    results = client.encode_many((photo for _ in count()), errors="yield", max_in_flight=1)
    assert next(results)
    service.stop()
    with pytest.raises(ServiceError):
        list(islice(results, 1000))


@pytest.fixture(scope="module")
def guarded_service(start_service):
    return start_service(api_keys="a-key")


def test_keys_are_sent_and_a_missing_one_is_told(make_client, guarded_service, photo):
    assert make_client(guarded_service.url, api_key="a-key").encode(photo)
    with pytest.raises(ServiceProblem) as caught:
        make_client(guarded_service.url).encode(photo)
    assert caught.value.status == 401


def test_threads_share_a_client(service, tokenizer, small_images):
    with Client(service.url) as client, ThreadPoolExecutor(8) as threads:
        grids = list(threads.map(client.encode, small_images[:16]))
    assert grids == tokenizer.encode(small_images[:16])


def test_a_user_of_the_service_loads_no_model_library(service, tmp_path, png):
    path = tmp_path / "photo.png"
    path.write_bytes(png)
    code = """
import asyncio, sys
from vqvae import AsyncClient, Client
url, path = sys.argv[1:]
with Client(url) as client:
    grid = client.encode(path)
    assert client.decode(grid).size == (grid.width, grid.height)
    client.reconstruct(path)
    assert grid._repr_html_()
async def main():
    async with AsyncClient(url) as client:
        assert [other async for other in client.encode_many([path])] == [grid]
asyncio.run(main())
heavy = {"torch", "safetensors", "fastapi", "starlette", "pydantic", "uvicorn", "service"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, service.url, path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def num_requests(service):
    return service.log.read_text().count("POST /v1/encode 200")
