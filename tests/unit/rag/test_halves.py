"""What is written of a vector is read as the very same vector."""

from __future__ import annotations

import struct

from pgvector import HalfVector

from django_wp_ai.rag.ingest.halves import half


def test_five_digits_name_every_number_of_half_precision() -> None:
    bits = [n for n in range(1 << 16) if n & 0x7C00 != 0x7C00]  # but infinities and what is no number
    for at in range(0, len(bits), 8192):
        some = bits[at : at + 8192]
        numbers = list(struct.unpack(f"{len(some)}e", struct.pack(f"{len(some)}H", *some)))
        assert HalfVector.from_text(half(numbers).to_text()) == HalfVector(numbers)
        assert half(HalfVector(numbers)).dimensions() == len(numbers)
