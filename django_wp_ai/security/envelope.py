"""A request as signatures see it: bytes and headers, nothing decoded twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Envelope:
    """``path`` and ``query`` are as received (still percent-encoded, ``query`` without its ``?``).

    Header names are lower-case. ``ip`` is the client's, ``token`` the ``?token=`` of a stream URL.
    What may hold a secret or a visitor's words stays out of ``repr``.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    ip: str = ""
    token: str = field(default="", repr=False)
    is_stream: bool = False  # stream tokens are good on stream routes only
    is_repeatable: bool = False  # the route knows by itself what comes again, so a body need not be a new one

    def header(self, name: str) -> str:
        """A header's value, empty when absent."""
        return self.headers.get(name, "")
