"""Engines: who does the work of the shards. Any will do that calls `encode_shard` on each piece once."""

from collections.abc import Callable, Generator, Iterable
from typing import Protocol

from vqvae.bulk.records import ShardRecord
from vqvae.bulk.shard import ShardWork, Tally, encode_shard
from vqvae.tokenizer import Tokenizer


class Engine(Protocol):
    """Does pieces of work, in any order and any number at a time."""

    def run(self, work: Iterable[ShardWork], on_images: Callable[[Tally], None]) -> Generator[ShardRecord]:
        """The record of each piece as it is finished.

        A piece is taken from `work` only when it can be begun: where `work` ends, the job does, at a shard's
        edge.
        """
        ...


class InProcess:
    """One piece after another, in this process.

    Args:
        readers: threads that read and unpack images meanwhile; on a GPU, many.
    """

    def __init__(self, tokenizer: Tokenizer, *, readers: int = 1) -> None:
        self._tokenizer = tokenizer
        self._readers = readers

    def run(self, work: Iterable[ShardWork], on_images: Callable[[Tally], None]) -> Generator[ShardRecord]:
        """The record of each piece, in their order."""
        for piece in work:
            yield encode_shard(piece, self._tokenizer, readers=self._readers, on_images=on_images)
