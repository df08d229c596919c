import json
import os

import pytest

from vqvae.bulk import stats_of
from vqvae.pixels import decode_image

ENCODE = ("bulk", "encode", "images", "codes", "-m", "tiny", "--max-error-rate", "1", "--workers", "1")


@pytest.fixture
def encoded(vqvae, images, tmp_path):
    os.link(images / "00.png", images / "twin.png")
    assert vqvae(*ENCODE).code == 0
    return tmp_path / "codes"


def test_lines_tell_what_the_library_finds(vqvae, encoded):
    found = stats_of(encoded)
    code = found.most_common(1)[0]
    ended = vqvae("bulk", "stats", "codes")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("codes: 13 images, 1 of them bad, 87 codes of tiny@")
    assert lines[1] == (
        f"usage {found.usage:.1%}, perplexity {found.perplexity:.0f} of 64, entropy {found.entropy_bits:.2f} "
        "bits/code"
    )
    assert lines[2].startswith(f"half of all codes are the {found.share_of_codes(0.5)} most common, ")
    assert lines[3].startswith(f"most common: {code} ({found.counts[code] / 87:.2%}), ")
    assert lines[4:] == ["duplicates: 1 images", "  00.png = twin.png"]


def test_json_and_picture_are_written(vqvae, encoded, tmp_path):
    assert (
        vqvae("bulk", "stats", "codes", "--json", "new/stats.json", "--picture", "new/common.png").code == 0
    )
    facts = json.loads((tmp_path / "new/stats.json").read_text())
    assert facts == json.loads(json.dumps(stats_of(encoded).to_dict()))
    used = sum(count > 0 for count in facts["histogram"])
    drawn = decode_image((tmp_path / "new/common.png").read_bytes())
    assert drawn.shape == (-(-used // 16) * 34 - 2, min(used, 16) * 34 - 2, 3)


def test_a_picture_needs_the_model_that_made_the_codes(vqvae, encoded, tmp_path):
    ended = vqvae("bulk", "stats", "codes", "--picture", "common.png", "-m", "other")
    assert ended.code == 2
    assert "codes carry fingerprint tiny@" in ended.err
    assert not (tmp_path / "common.png").exists()


def test_many_duplicates_are_cut_short(vqvae, images, tmp_path):
    for number in (0, 1, 2, 3, 4, 6, 7):
        os.link(images / f"{number:02}.png", images / f"twin-{number}.png")
    vqvae(*ENCODE)
    lines = vqvae("bulk", "stats", "codes").out.splitlines()
    assert lines[4] == "duplicates: 7 images"
    assert lines[-1] == "  and 2 more; --json FILE has them all"
