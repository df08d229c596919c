"""Images in bodies, below HTTP."""

import tempfile

import numpy as np
import pytest

from service.errors import BadRequest, Malformed, Problem
from service.intake import read_images
from service.settings import Settings
from vqvae.pixels import encode_image

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def settings():
    return Settings(threads=1)


@pytest.fixture(scope="module")
def headers(start_pool):
    return start_pool(1)


def multipart(*files, boundary=b"x"):
    part = b'--%b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n%b\r\n'
    return b"".join(part % (boundary, file) for file in files) + b"--%b--\r\n" % boundary


async def test_large_multipart_files_are_not_written_to_disk(monkeypatch, settings, headers):
    def refuse(*_, **__):
        raise AssertionError("a file was opened")

    for name in "TemporaryFile", "SpooledTemporaryFile", "NamedTemporaryFile", "mkstemp":
        monkeypatch.setattr(tempfile, name, refuse)
    noise = encode_image(np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8))
    assert len(noise) > 2_000_000
    body = multipart(noise, noise)
    uploads = await read_images(body, "multipart/form-data; boundary=x", settings, headers)
    assert [upload.data for upload in uploads] == [noise, noise]


@pytest.mark.parametrize("boundary", [b"x", b"----WebKitFormBoundary7MA4YWxkTrZu0gW", b"a" * 70])
async def test_files_come_out_of_multipart_as_they_went_in(settings, headers, boundary):
    files = [b"\r\n--", b"", bytes(range(256)), b"--" + boundary[:-1]]
    body, content_type = (
        multipart(*files, boundary=boundary),
        f"multipart/form-data; boundary={boundary.decode()}",
    )
    uploads = await read_images(body, content_type, settings, headers)
    assert [upload.status for upload in uploads] == [415] * 4  # each was looked at, none is an image


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", f"multipart/form-data; boundary={'b' * 300}"]
)
async def test_a_boundary_that_is_none_is_malformed(settings, headers, content_type):
    with pytest.raises(Malformed):
        await read_images(multipart(b"file"), content_type, settings, headers)


async def test_a_multipart_without_a_field_is_no_request(settings, headers):
    with pytest.raises(BadRequest, match="no field"):
        await read_images(multipart(), "multipart/form-data; boundary=x", settings, headers)


async def test_one_file_of_a_request_at_a_time_waits_for_a_look_at_its_header(settings, headers):
    waiting, most = 0, 0

    class Counting:
        def submit(self, data, max_pixels):
            nonlocal waiting, most
            waiting += 1
            most = max(most, waiting)
            look = headers.submit(data, max_pixels)
            look.add_done_callback(leave)
            return look

    def leave(_):
        nonlocal waiting
        waiting -= 1

    image = encode_image(np.zeros((8, 8, 3), np.uint8))
    body, content_type = multipart(*[image] * 20), "multipart/form-data; boundary=x"
    uploads = await read_images(body, content_type, settings, Counting())
    assert [upload.num_pixels for upload in uploads] == [64] * 20
    assert most == 1


async def test_an_upload_knows_its_pixels_by_its_header(settings, headers):
    (upload,) = await read_images(encode_image(np.zeros((7, 9, 3), np.uint8)), "", settings, headers)
    assert upload.num_pixels == 63


async def test_an_image_without_pixels_is_a_problem(settings, headers):
    gif = b"GIF89a" + bytes(4) + b"\x00\x00\x00" + b"," + bytes(9) + b"\x02\x00;"
    (problem,) = await read_images(gif, "image/gif", settings, headers)
    assert isinstance(problem, Problem)
    assert problem.status == 422
