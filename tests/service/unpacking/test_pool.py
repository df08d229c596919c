"""Processes that unpack images: the same pixels, and nothing that a file does reaches another one."""

import os
import signal
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from service.errors import Unavailable
from service.unpacking.pool import UnpackingPool, _Unpacker
from vqvae.errors import ImageError, LimitError, UnsupportedImageError
from vqvae.pixels import decode_image, encode_image

PIXELS = 2**24


def slow_header(num_chunks):
    """A PNG of one pixel whose header has so many parts that looking through them takes a while."""
    text = struct.pack(">I", 0) + b"tESt" + struct.pack(">I", zlib.crc32(b"tESt"))
    png = encode_image(np.zeros((1, 1, 3), np.uint8))
    return png[:33] + text * num_chunks + png[33:]


def wait_until(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")


def processes(pool):
    return [unpacker._process for unpacker in pool._unpackers]


@pytest.fixture(scope="module")
def pool(start_pool):
    return start_pool(2)


@pytest.fixture
def restless(start_pool):
    """A pool of one process, the list of its replacements, and the process."""
    replaced = []
    pool = start_pool(1, on_replaced=lambda: replaced.append(time.monotonic()))
    return pool, replaced, lambda: processes(pool)[0]


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
def test_the_pixels_are_those_of_decode_image(pool, photo, media_type):
    data = encode_image(photo, media_type)
    np.testing.assert_array_equal(pool.submit(data, PIXELS).result(), decode_image(data))


def test_the_size_of_a_file_is_had_without_its_pixels(pool, png):
    assert pool.submit_for_size(png[:60]).result() == (70, 45)
    with pytest.raises(ImageError):
        pool.submit_for_size(png[:20]).result()


def test_many_files_at_once_each_get_their_own_pixels(pool):
    images = [np.full((5 + i, 7, 3), i, np.uint8) for i in range(50)]
    futures = [pool.submit(encode_image(image), PIXELS) for image in images]
    for image, future in zip(images, futures, strict=True):
        np.testing.assert_array_equal(future.result(), image)


def test_errors_are_those_of_decode_image(pool, png):
    with pytest.raises(UnsupportedImageError, match="JPEG, PNG"):
        pool.submit(b"%PDF", PIXELS).result()
    with pytest.raises(ImageError, match="cut short") as damaged:
        pool.submit(png[:-200], PIXELS).result()
    assert type(damaged.value) is ImageError
    with pytest.raises(LimitError, match="the limit is 100") as large:
        pool.submit(png, 100).result()
    assert (large.value.limit, large.value.actual) == (100, 45 * 70)


def test_the_processes_hold_neither_torch_nor_the_service(pool):
    mapped = Path(f"/proc/{processes(pool)[0].pid}/maps").read_text()
    assert "numpy" in mapped
    assert "torch" not in mapped
    assert "pydantic" not in mapped


def test_the_processes_get_none_of_the_environment_but_where_modules_and_libraries_are(
    start_pool, monkeypatch
):
    monkeypatch.setenv("VQVAE_SERVE_API_KEYS", "a-key")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    (process,) = processes(start_pool(1))
    variables = Path(f"/proc/{process.pid}/environ").read_text().rstrip("\0").split("\0")
    given = dict(variable.split("=", 1) for variable in variables)
    assert set(given) == {"PYTHONPATH", "LD_LIBRARY_PATH"}
    assert given["LD_LIBRARY_PATH"] == "/nowhere"


def test_a_file_that_takes_too_long_costs_itself_and_its_process(start_pool, png):
    replaced = []
    pool = start_pool(1, seconds=0.5, on_replaced=lambda: replaced.append(1))
    with pytest.raises(ImageError, match=r"cannot be decoded within 0\.5 s"):
        pool.submit(slow_header(1_500_000), PIXELS).result()
    assert pool.submit(png, PIXELS).result().shape == (45, 70, 3)
    assert len(replaced) == 1


def test_a_file_that_takes_too_much_memory_is_an_error_and_its_process_goes_on(start_pool, png):
    replaced = []
    pool = start_pool(1, memory_bytes=2**25, on_replaced=lambda: replaced.append(1))
    large = encode_image(np.zeros((4096, 4096, 3), np.uint8))
    with pytest.raises(ImageError, match="cannot be decoded"):
        pool.submit(large, PIXELS).result()
    assert pool.submit(png, PIXELS).result().shape == (45, 70, 3)
    assert not replaced


def test_an_idle_process_that_is_killed_is_replaced(restless, png):
    pool, replaced, process = restless
    os.kill(process().pid, signal.SIGKILL)
    wait_until(lambda: replaced and pool.num_alive == 1)
    assert pool.submit(png, PIXELS).result().shape == (45, 70, 3)
    assert len(replaced) == 1


def test_a_file_whose_process_is_killed_is_tried_again(restless, photo):
    pool, replaced, process = restless
    image = np.tile(photo, (40, 20, 1))
    future = pool.submit(encode_image(image), PIXELS)
    wait_until(future.running)
    os.kill(process().pid, signal.SIGKILL)
    np.testing.assert_array_equal(future.result(), image)
    assert len(replaced) == 1


def test_a_file_that_its_process_does_not_take_goes_to_another_one(start_pool):
    replaced = []
    pool = start_pool(1, seconds=2, on_replaced=lambda: replaced.append(1))
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)  # more than a pipe holds
    os.kill(processes(pool)[0].pid, signal.SIGSTOP)
    np.testing.assert_array_equal(pool.submit(encode_image(noise), PIXELS).result(timeout=60), noise)
    assert len(replaced) == 1


def test_a_process_that_ends_while_it_starts_is_replaced_again(restless, photo, monkeypatch):
    pool, replaced, process = restless
    await_process, failures = _Unpacker.await_process, iter([True, True, False])

    def fail_at_first(unpacker):
        if next(failures):
            unpacker._process.kill()
        await_process(unpacker)

    monkeypatch.setattr(_Unpacker, "await_process", fail_at_first)
    image = np.tile(photo, (40, 20, 1))
    future = pool.submit(encode_image(image), PIXELS)
    wait_until(future.running)
    os.kill(process().pid, signal.SIGKILL)
    np.testing.assert_array_equal(future.result(), image)
    assert len(replaced) == 3


def test_a_machine_that_has_no_room_for_a_process_gets_one_later(restless, png, monkeypatch):
    pool, _, process = restless

    def fail(*_, **__):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr("service.unpacking.pool.Popen", fail)
    os.kill(process().pid, signal.SIGKILL)
    wait_until(lambda: pool.num_alive == 0)
    with pytest.raises(Unavailable):
        pool.submit(png, PIXELS).result()
    monkeypatch.undo()
    wait_until(lambda: pool.num_alive == 1)
    assert pool.submit(png, PIXELS).result().shape == (45, 70, 3)


@pytest.fixture
def crashing(monkeypatch, tmp_path):
    """Processes that crash at every file of one byte."""
    (tmp_path / "crashing.py").write_text(
        "import os\n"
        "from service.unpacking import process\n"
        "def decode_image(data, **others):\n"
        "    if len(data) == 1: os.abort()\n"
        "    return real(data, **others)\n"
        "real, process.decode_image = process.decode_image, decode_image\n"
        "process.main()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("service.unpacking.pool.INSIDE", "crashing")


def test_a_file_that_crashes_its_decoder_twice_is_an_error(crashing, restless, png):
    pool, replaced, _ = restless
    with pytest.raises(ImageError, match="crashed, twice"):
        pool.submit(b"!", PIXELS).result()
    assert pool.submit(png, PIXELS).result().shape == (45, 70, 3)
    assert len(replaced) == 2


def test_a_cancelled_file_is_dropped(pool, png):
    held = [pool.submit(slow_header(100_000), PIXELS) for _ in range(2)]
    dropped = pool.submit(png, PIXELS)
    assert dropped.cancel()
    assert [future.result().shape for future in held] == [(1, 1, 3)] * 2


def test_processes_end_with_the_pool():
    pool = UnpackingPool(2, seconds=1, memory_bytes=2**28, on_replaced=lambda: None)
    pool.start()
    assert pool.num_alive == 2
    assert [process.poll() for process in processes(pool)] == [None, None]
    pool.stop()
    assert pool.num_alive == 0
    assert None not in [process.poll() for process in processes(pool)]


def test_a_process_that_does_not_start_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "failing.py").write_text("raise SystemExit(1)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("service.unpacking.pool.INSIDE", "failing")
    pool = UnpackingPool(1, seconds=1, memory_bytes=2**28, on_replaced=lambda: None)
    with pytest.raises(OSError, match="does not start"):
        pool.start()
