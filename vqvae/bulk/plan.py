"""Which keys go into which shard: a pure function of the manifest and its listing."""

from collections.abc import Sequence
from dataclasses import dataclass

from vqvae.bulk.manifest import Manifest

SUFFIXES = {"parquet": ".parquet", "webdataset": ".tar"}


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of codes to be made."""

    name: str  # of the file in `data`
    keys: tuple[str, ...]  # in the order of its rows


def shard_names(manifest: Manifest) -> list[str]:
    """The names of all shards, in order; sorted, they are in order too."""
    num_shards = -(-manifest.source.num_images // manifest.options.shard_size)
    digits = max(5, len(str(num_shards - 1)))
    suffix = SUFFIXES[manifest.options.format]
    return [f"codes-{number:0{digits}}{suffix}" for number in range(num_shards)]


def shards_of(manifest: Manifest, keys: Sequence[str]) -> list[Shard]:
    """All shards in order, the last one with what is left."""
    length = manifest.options.shard_size
    return [
        Shard(name, tuple(keys[number * length : (number + 1) * length]))
        for number, name in enumerate(shard_names(manifest))
    ]
