"""What waits between a provider and a reader: in order, bounded, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from django_wp_ai.gateway.buffer import Buffer


async def test_items_come_out_in_their_order() -> None:
    buffer: Buffer[int] = Buffer(3)
    for number in range(3):
        await buffer.put(number)
    assert buffer.is_full
    assert [await buffer.get() for _ in range(3)] == [0, 1, 2]
    assert not buffer


async def test_a_writer_waits_while_it_is_full_and_a_reader_while_it_is_empty() -> None:
    buffer: Buffer[int] = Buffer(2)
    most = 0

    async def write() -> None:
        nonlocal most
        for number in range(20):
            await buffer.put(number)
            most = max(most, len(buffer))

    writing = asyncio.create_task(write())
    read = [await buffer.get() for _ in range(20)]
    await writing
    assert (read, most) == (list(range(20)), 2)


async def test_a_writer_that_waits_goes_on_when_all_is_forgotten() -> None:
    buffer: Buffer[str] = Buffer(1)
    await buffer.put("old")
    writing = asyncio.create_task(buffer.put("new"))
    await asyncio.sleep(0)
    buffer.clear()
    await writing
    assert await buffer.get() == "new"


async def test_a_reader_that_gave_up_takes_nothing_with_it() -> None:
    buffer: Buffer[str] = Buffer(1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await buffer.get()
    await buffer.put("later")
    assert await buffer.get() == "later"
