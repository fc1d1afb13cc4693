"""Why a request to a foreign URL did not end in a reply."""

from __future__ import annotations

import zlib

import aiohttp

#: Fixed sentences: none names an address, because who gave the URL reads them and must not map our network by them.
MESSAGES = {
    "url_refused": "The URL is not one that may be reached.",
    "request_invalid": "The request can't be sent as it is.",
    "dns_failed": "The host name can't be resolved.",
    "connect_failed": "No connection could be made.",
    "tls_failed": "The TLS connection failed: the certificate is not valid for the host, or the versions don't match.",
    "timeout": "The exchange took too long.",
    "connection_lost": "The connection ended before the reply was complete.",
    "too_large": "The reply is larger than allowed.",
    "too_many_redirects": "The URL redirects too often.",
    "reply_invalid": "The reply is not valid HTTP, or encoded in a way that is not understood.",
}

#: The first that fits. After ``connect_failed`` and ``tls_failed`` nothing of the request was sent.
_CODES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientSSLError, "tls_failed"),
    (aiohttp.ClientConnectorError, "connect_failed"),
    (aiohttp.InvalidURL, "url_refused"),
    ((aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError), "connection_lost"),
    ((aiohttp.ClientError, zlib.error), "reply_invalid"),
)
TRANSLATED = (TimeoutError, aiohttp.ClientError, OSError, zlib.error)


class OutboundError(Exception):
    """Refused, or failed; ``code`` and text are safe to show and to store."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or MESSAGES[code])
        self.code = code


def translated(error: Exception) -> OutboundError:
    """The error as callers know it; ``error`` is one of ``TRANSLATED``."""
    return OutboundError(next(code for kinds, code in _CODES if isinstance(error, kinds)))
