from dataclasses import replace

import pytest

from vqvae.bulk import read_manifest
from vqvae.bulk.manifest import Options
from vqvae.bulk.plan import shard_names, shards_of


@pytest.fixture(scope="module")
def manifest(finished):
    return read_manifest(finished)


def of(manifest, num_images, **options):
    return replace(
        manifest, source=replace(manifest.source, num_images=num_images), options=Options(**options)
    )


@pytest.mark.parametrize(("num_images", "lengths"), [(1, [1]), (3, [3]), (4, [3, 1]), (8, [3, 3, 2])])
def test_every_key_is_in_one_shard_in_order_and_the_last_has_what_is_left(manifest, num_images, lengths):
    keys = [f"{number}.png" for number in range(num_images)]
    shards = shards_of(of(manifest, num_images, shard_size=3), keys)
    assert [len(shard.keys) for shard in shards] == lengths
    assert [key for shard in shards for key in shard.keys] == keys


def test_names_sort_as_the_shards_do(manifest):
    assert shard_names(of(manifest, 2, shard_size=1)) == ["codes-00000.parquet", "codes-00001.parquet"]
    names = shard_names(of(manifest, 100_001, shard_size=1, format="webdataset"))
    assert (names[0], names[-1]) == ("codes-000000.tar", "codes-100000.tar")
    assert names == sorted(names)
