"""Finished atlases, one for each model and decoder, each made once and kept."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Key: TypeAlias = tuple[str, str]  # model and decoder


class Atlases:
    """Files by model and decoder; who asks while one is being made waits for it."""

    def __init__(self) -> None:
        self._files: dict[Key, bytes] = {}
        self._locks: dict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)

    def get(self, key: Key) -> bytes | None:
        """The file, if it is there."""
        return self._files.get(key)

    async def get_or_make(self, key: Key, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The file; what `make` raises concerns its own caller alone, and the next one makes it."""
        async with self._locks[key]:
            if key not in self._files:
                self._files[key] = await make()
            return self._files[key]
