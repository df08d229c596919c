import hashlib
import json
from dataclasses import replace

import pytest

from vqvae.bulk.manifest import (
    LISTING,
    MANIFEST,
    MadeWith,
    Options,
    check_same,
    listing_of,
    make_manifest,
    read_keys,
    read_manifest,
)
from vqvae.code_grid import CodeSpace
from vqvae.errors import BulkError, ConfigError, DataError

SPACE = CodeSpace("tiny", "ab" * 32, codebook_size=64, downsample_factor=8)
LINES = b'["a.png", 3]\n["b.png", null]\n'


class Keys:
    """A source of keys and marks."""

    def __init__(self, **sizes):
        self.sizes = sizes
        self.keys = list(sizes)

    def mark(self, key):
        return self.sizes[key]


def manifest_of(listing=LINES, path="photos", space=SPACE, options=None, **versions):
    made_with = replace(MadeWith.here("cpu"), **versions)
    return make_manifest(path, listing, space, options or Options(), made_with)


@pytest.fixture
def begun(tmp_path):
    """A folder with the manifest and the listing of two images."""
    (tmp_path / MANIFEST).write_bytes(manifest_of().to_json())
    (tmp_path / LISTING).write_bytes(LINES)
    return tmp_path


def test_the_listing_has_a_line_an_image_whatever_its_name(tmp_path):
    names = {"a\nb.png": 3, 'é".png': None}
    listing = listing_of(Keys(**names))
    assert [json.loads(line) for line in listing.splitlines()] == [["a\nb.png", 3], ['é".png', None]]
    manifest = manifest_of(listing)
    assert (manifest.source.num_images, manifest.source.sha256) == (2, hashlib.sha256(listing).hexdigest())
    (tmp_path / LISTING).write_bytes(listing)
    assert read_keys(tmp_path, manifest) == list(names)


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(DataError, match="is no name in UTF-8; rename it"):
        listing_of(Keys(**{"a\udcff.png": 1}))


def test_a_manifest_comes_back_from_its_file(begun):
    assert read_manifest(begun) == manifest_of()


def test_what_is_no_manifest_is_an_error_that_says_why(begun, tmp_path):
    good = json.loads((begun / MANIFEST).read_text())
    for damage, said in (
        ("{", "is damaged"),
        (json.dumps({**good, "format_version": 9}), "of format version 9, this package reads 1"),
        (json.dumps({**good, "more": 1}), "no variable 'more'"),
        (json.dumps({**good, "space": {**good["space"], "fingerprint": "?"}}), "fingerprint must be"),
    ):
        (begun / MANIFEST).write_text(damage)
        with pytest.raises(BulkError, match=said):
            read_manifest(begun)
    (begun / MANIFEST).unlink()
    with pytest.raises(BulkError, match="holds no codes of `vqvae bulk encode`"):
        read_manifest(begun)


def test_a_listing_that_was_changed_is_damaged(begun):
    (begun / LISTING).write_bytes(LINES.replace(b"3", b"4"))
    with pytest.raises(BulkError, match="its SHA-256 is not the one"):
        read_keys(begun, manifest_of())


def test_the_same_goes_on_also_where_the_source_has_moved(begun):
    check_same(manifest_of(), manifest_of(path="elsewhere/photos"), begun, LINES)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            {"space": replace(SPACE, fingerprint="cd" * 32)},
            f"space.fingerprint was {'ab' * 32}, now {'cd' * 32}",
        ),
        ({"options": Options(size=256)}, "options.size was 0, now 256"),
        ({"options": Options(shard_size=7)}, "options.shard_size was 4096, now 7"),
        ({"options": Options(format="webdataset")}, "options.format was parquet, now webdataset"),
        ({"torch": "9.9"}, "made_with.torch was .*, now 9.9"),
        ({"device": "cuda"}, "made_with.device was cpu, now cuda"),
        ({"listing": LINES + b'["c.png", 1]\n'}, r"the source changed: 1 images are new, c\.png the first"),
        ({"listing": LINES[:13]}, r"the source changed: 1 images are gone, b\.png the first"),
        ({"listing": LINES.replace(b"3", b"4")}, r"the source changed: a\.png had 3 bytes, now 4"),
        ({"listing": LINES[13:] + LINES[:13]}, "the images are in another order"),
    ],
)
def test_anything_else_is_refused_and_named(begun, now, said):
    with pytest.raises(BulkError, match=said):
        check_same(manifest_of(), manifest_of(**now), begun, now.get("listing", LINES))


def test_everything_that_differs_is_named_at_once(begun):
    with pytest.raises(BulkError, match=r"options\.size was 0, now 8; made_with\.torch was .*, now 9"):
        check_same(manifest_of(), manifest_of(options=Options(size=8), torch="9"), begun, LINES)


@pytest.mark.parametrize("wrong", [{"size": -1}, {"shard_size": 0}, {"max_megapixels": 0}])
def test_options_have_limits(wrong):
    with pytest.raises(ConfigError, match="must be at least"):
        Options(**wrong)
