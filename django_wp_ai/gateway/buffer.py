"""What waits between a stream's provider and its reader."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Buffer(Generic[T]):
    """At most ``size`` items on their way from one writer to one reader.

    ``asyncio.Queue`` takes three kilobytes before its first item, which is a lot where hundreds are open.
    """

    __slots__ = ("_change", "_items", "_size")

    def __init__(self, size: int) -> None:
        self._items: list[T] = []
        self._size = size
        self._change: asyncio.Future[None] | None = None  # only one can wait: nothing is both empty and full

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Whether the next ``put`` has to wait."""
        return len(self._items) >= self._size

    async def get(self) -> T:
        """The oldest item, once there is one."""
        while not self._items:
            await self._changed()
        item = self._items.pop(0)
        self._tell()
        return item

    async def put(self, item: T) -> None:
        """Add an item, once there is room."""
        while self.is_full:
            await self._changed()
        self._items.append(item)
        self._tell()

    def clear(self) -> None:
        """Forget what waits; a writer that waits for room goes on."""
        self._items.clear()
        self._tell()

    async def _changed(self) -> None:
        self._change = asyncio.get_running_loop().create_future()
        await self._change

    def _tell(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)
