"""Reads the body of a reply piece by piece, decoded, and never more of it than is allowed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator

from aiohttp import ClientResponse

from django_wp_ai.security.outbound.errors import OutboundError

PIECE_BYTES = 64 * 1024
CODING_OVERHEAD_BYTES = 64 * 1024  # a coded body may be longer than what it holds, but not by more


async def take(response: ClientResponse, *, max_bytes: int, cut: bool, write: Callable[[bytes], object]) -> bool:
    """Hand the decoded body to ``write``; whether it was cut at ``max_bytes``, where it else is refused."""
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _WBITS and cut:
        return True  # what stands there can't be shown, but the status can be used
    announced = response.content_length
    if announced is not None and announced > max_bytes and not coding and not cut and response.method != "HEAD":
        raise OutboundError("too_large")
    left = max_bytes
    async for piece in _decoded(response, coding, max_bytes + CODING_OVERHEAD_BYTES):
        if piece:
            write(piece[:left])
        left -= len(piece)
        if left < 0:
            if cut:
                return True
            raise OutboundError("too_large")
    return False


async def _decoded(response: ClientResponse, coding: str, max_coded_bytes: int) -> AsyncIterator[bytes]:
    decoder: _Decoder | None = None
    async for data in response.content.iter_any():
        if not coding or coding == "identity":
            yield data
            continue
        max_coded_bytes -= len(data)
        if max_coded_bytes < 0:
            raise OutboundError("too_large")
        decoder = decoder or _Decoder(coding, data)
        for piece in decoder.pieces(data):
            yield piece
            await asyncio.sleep(0)  # much may come out of little, and others wait for the loop
    if decoder is not None and not decoder.is_complete:
        raise OutboundError("reply_invalid")


_GZIP = 16 + zlib.MAX_WBITS
_WBITS = {"": 0, "identity": 0, "gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


class _Decoder:
    """Inflates at most ``PIECE_BYTES`` at a time."""

    def __init__(self, coding: str, begin: bytes) -> None:
        if coding not in _WBITS:
            raise OutboundError("reply_invalid")
        wbits = _WBITS[coding]
        if coding == "deflate" and begin[0] & 0xF != 8:  # not zlib's header: some servers leave it out
            wbits = -zlib.MAX_WBITS
        self._inflate = zlib.decompressobj(wbits)

    @property
    def is_complete(self) -> bool:
        """Whether the end was reached."""
        return self._inflate.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` adds; something behind the end is refused."""
        while True:
            piece = self._inflate.decompress(data, PIECE_BYTES)
            yield piece
            data = self._inflate.unconsumed_tail
            if self._inflate.unused_data:
                raise OutboundError("reply_invalid")
            if not data and len(piece) < PIECE_BYTES:
                return
