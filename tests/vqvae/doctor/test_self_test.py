import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from vqvae.checkpoint import load_card
from vqvae.doctor.self_test import CodesTest, DecoderTest, ModelTest, drawn_picture, try_model

SOUND = ModelTest(
    fingerprint="ab" * 32,
    stored_bytes=1,
    encode_ms=1.0,
    decoders={"faithful": DecoderTest(1.0, 25.0)},
    flat_psnr=13.0,
    tiles=CodesTest(4, 4096, 0),
    threads=CodesTest(2, 1024, 0),
)


def test_the_picture_is_the_same_everywhere():
    picture = drawn_picture(256)
    assert picture.shape == (256, 256, 3)
    digest = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()
    assert digest.startswith("66f6d011ba40")


def test_a_model_is_timed_and_its_codes_compared(two_decoders):
    before = torch.get_num_threads()
    test = try_model(two_decoders)
    assert torch.get_num_threads() == before
    assert test.fingerprint == load_card(two_decoders).fingerprint
    assert test.stored_bytes == sum(path.stat().st_size for path in two_decoders.glob("*.safetensors"))
    assert test.encode_ms > 0
    assert list(test.decoders) == ["faithful", "vivid"]
    assert all(decoder.decode_ms > 0 and decoder.psnr for decoder in test.decoders.values())
    assert (test.tiles.codes, test.tiles.differ) == (64 * 64, 0)
    assert test.tiles.ways > 1
    assert (test.threads.codes, test.threads.differ) == (32 * 32, 0)
    assert test.threads.ways > 1


def test_a_sound_model_has_no_faults():
    assert SOUND.faults() == []
    assert replace(SOUND, threads=CodesTest(2, 1024, 1)).faults() == []  # a near tie


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tiles": CodesTest(4, 4096, 1)}, "1 of 4096 codes are others in tiles"),
        ({"threads": CodesTest(2, 1024, 2)}, "2 of 1024 codes are others with more threads"),
        (
            {"decoders": {"vivid": DecoderTest(1.0, 12.96)}},
            "decoder vivid gives back less than one flat colour would: 13.0 dB",
        ),
    ],
)
def test_a_fault_is_told(change, said):
    assert replace(SOUND, **change).faults() == [said]
