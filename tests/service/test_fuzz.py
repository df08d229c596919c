"""A sample of `python tests/siege fuzz`: damaged bodies for the readers, and some for a running service."""

import importlib
import io
from pathlib import Path

import httpx
import pytest
from PIL import Image

from vqvae.formats import from_code_file
from vqvae.pixels import decode_image

pytestmark = pytest.mark.filterwarnings("ignore")  # of damaged files, by Pillow


@pytest.fixture(scope="module")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "siege")
        yield importlib.import_module("fuzz")


@pytest.fixture(scope="module")
def goods(fuzz, tokenizer):
    return fuzz.goods.good_bodies(tokenizer.space)


def test_what_is_good_is_read(fuzz):
    for reader, bodies in fuzz.readers.readers().values():
        for body in bodies:
            reader(body)


def test_what_is_damaged_is_read_or_refused_with_an_error_of_ours(fuzz):
    for name in fuzz.readers.readers():
        fuzz.engines.try_reader(name, seed=0, num_damaged=40, num_examples=10)


def test_an_error_that_is_not_ours_is_told_with_what_makes_it_again(fuzz, monkeypatch):
    monkeypatch.setattr(fuzz.engines, "readers", lambda: {"reader": (lambda data: data[1000], [b"short"])})
    with pytest.raises(AssertionError, match="reader, seed 3, damaged body 0: IndexError"):
        fuzz.engines.try_reader("reader", seed=3, num_damaged=1, num_examples=1)


def test_the_seed_and_the_number_make_a_case_again(fuzz, goods):
    cases = [fuzz.cases.draw_case(goods, 0, number) for number in range(30)]
    assert cases == [fuzz.cases.draw_case(goods, 0, number) for number in reversed(range(30))][::-1]
    assert cases != [fuzz.cases.draw_case(goods, 1, number) for number in range(30)]


def test_good_files_are_the_same_on_any_day(fuzz):
    images = [Image.open(io.BytesIO(data)) for data in fuzz.images.image_files().values()]
    profiles = [image.info["icc_profile"] for image in images if image.info.get("icc_profile")]
    assert profiles
    assert all(profile[24:36] == bytes(12) for profile in profiles)  # where a profile has its date


def test_mended_damage_gets_past_the_checksums(fuzz, goods):
    bodies = {good.name: good.body for good in goods}
    assert all(fuzz.damage.mended(body) == body for body in bodies.values())
    codes = bytearray(bodies["code file"])
    codes[-5] ^= 1 << 3
    assert from_code_file(fuzz.damage.mended(bytes(codes))) != from_code_file(bodies["code file"])
    png = bytearray(bodies["PNG interlaced"])
    png[20:24] = png[16:20] = bytes([0, 0, 0, 2])
    assert decode_image(fuzz.damage.mended(bytes(png))).shape == (2, 2, 3)


def test_the_service_answers_whatever_comes(fuzz, goods, service, tokenizer):
    cases = [fuzz.cases.draw_case(goods, 0, number) for number in range(60)]
    outcomes = fuzz.asking.ask(service.url, cases, tokenizer.space, patience_s=60)
    assert len(outcomes) == len(cases)
    assert not [outcome for outcome in outcomes if outcome.wrong]


@pytest.mark.parametrize(
    ("path", "status", "media_type", "content"),
    [
        ("/v1/encode", 500, "text/plain", b"Internal Server Error"),
        ("/v1/encode", 422, "application/problem+json", b'{"status": 400}'),
        ("/v1/encode", 503, "application/problem+json", b'{"status": 503, "type": "about:blank"}'),
        ("/v1/encode", 200, "application/json", b'{"data": [], "counts": {"images": 0, "failed": 0}}'),
        ("/v1/encode", 200, "application/vnd.vqvae.codes", b"\x89VQC"),
        ("/v1/decode", 200, "image/png", b"\x89PNG"),
        ("/v1/reconstruct", 200, "application/x-npy", b"\x93NUMPY"),
    ],
)
def test_an_answer_that_is_not_what_it_says_is_noticed(fuzz, path, status, media_type, content):
    request = httpx.Request("POST", f"http://service{path}")
    answer = httpx.Response(status, headers={"content-type": media_type}, content=content, request=request)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever its reading raises
        fuzz.answers.check_answer(answer, fuzz.readers.SPACE)
