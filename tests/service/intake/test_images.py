"""Images in bodies, below HTTP."""

import tempfile
import tracemalloc

import numpy as np
import pytest

from service.errors import BadRequest, Malformed, Problem, TooLarge
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


class Counting:
    """Looks at headers, and counts the looks."""

    def __init__(self, headers):
        self._headers = headers
        self.num = self.waiting = self.most_waiting = 0

    def submit_for_size(self, data):
        self.num += 1
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        look = self._headers.submit_for_size(data)
        look.add_done_callback(self._leave)
        return look

    def _leave(self, _):
        self.waiting -= 1


async def test_one_file_of_a_request_at_a_time_waits_for_a_look_at_its_header(settings, headers):
    image = encode_image(np.zeros((8, 8, 3), np.uint8))
    body, content_type = multipart(*[image] * 20), "multipart/form-data; boundary=x"
    looks = Counting(headers)
    uploads = await read_images(body, content_type, settings, looks)
    assert [upload.num_pixels for upload in uploads] == [64] * 20
    assert looks.most_waiting == 1


@pytest.mark.parametrize(("num_images", "told"), [(20, "at least 1024"), (16, "1024")])
async def test_images_are_looked_at_until_they_pass_the_limit_together(headers, num_images, told):
    settings = Settings(threads=1, image_megapixels=1000 / 2**20, request_megapixels=1000 / 2**20)
    image = encode_image(np.zeros((8, 8, 3), np.uint8))
    looks = Counting(headers)
    with pytest.raises(TooLarge, match=f"^the request has {told} pixels; the limit is 1000$") as caught:
        await read_images(
            multipart(*[image] * num_images), "multipart/form-data; boundary=x", settings, looks
        )
    assert (caught.value.limit, caught.value.actual) == (1000, 1024)
    assert looks.num == 16


async def test_of_too_many_images_none_is_looked_at(settings, headers):
    looks = Counting(headers)
    with pytest.raises(TooLarge, match=r"^the request has at least 65 images; the limit is 64$"):
        await read_images(multipart(*[b""] * 100), "multipart/form-data; boundary=x", settings, looks)
    assert looks.num == 0


@pytest.mark.parametrize("value", [b"{}", b"[]", b'"text"', b'{"image_b64":""}'])
async def test_json_of_many_values_is_refused_before_they_are_in_memory(settings, headers, value):
    body = b'{"images":[%b]}' % b",".join([value] * 500_000)
    tracemalloc.start()
    with pytest.raises(TooLarge, match=r"^the body has 500000 values; the limit is 6400$"):
        await read_images(body, "application/json", settings, headers)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


async def test_json_of_many_members_is_refused_before_each_is_a_mistake_of_its_own(settings, headers):
    members = b",".join(b'"%d":0' % i for i in range(500_000))
    with pytest.raises(TooLarge, match=r"^the body has 500001 values"):
        await read_images(b'{"images":[],%b}' % members, "application/json", settings, headers)


async def test_an_upload_knows_its_pixels_by_its_header(settings, headers):
    (upload,) = await read_images(encode_image(np.zeros((7, 9, 3), np.uint8)), "", settings, headers)
    assert (upload.width, upload.height, upload.num_pixels) == (9, 7, 63)
    assert upload.padded_pixels(8) == 8 * 16


async def test_an_image_without_pixels_is_a_problem(settings, headers):
    gif = b"GIF89a" + bytes(4) + b"\x00\x00\x00" + b"," + bytes(9) + b"\x02\x00;"
    (problem,) = await read_images(gif, "image/gif", settings, headers)
    assert isinstance(problem, Problem)
    assert problem.status == 422
