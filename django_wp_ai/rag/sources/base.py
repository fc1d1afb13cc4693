"""What every source yields: one post, page or file, as it was found."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from django_wp_ai.exceptions import WpAiError

NOTHING: Mapping[str, Any] = MappingProxyType({})
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--[^<>]*-->")
_LANGUAGE = re.compile(r"([A-Za-z]{2})(?![A-Za-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDocument:
    """A document as its source tells of it.

    One of ``text`` (plain or Markdown), ``html`` and ``data`` (a file's bytes) holds the content. An attachment has
    none: its ``url`` is the file's address. ``source_id`` is stable: ``post-12`` for a thing of WordPress, the path
    below the folder for a file. ``modified_at`` is aware, or None if the source doesn't say.
    """

    source_id: str
    title: str = ""
    url: str = ""
    text: str = ""
    html: str = ""
    data: bytes = b""
    mime: str = ""
    filename: str = ""
    post_type: str = ""
    language: str = ""
    tags: tuple[str, ...] = ()
    modified_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


class SourceFailed(WpAiError):
    """A source can't be read, or not to its end; ``reason`` is a short word for logs and tests."""

    code = "source_failed"
    status = 502
    title = "The content could not be read from its source"

    def __init__(self, detail: str = "", *, reason: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.reason = reason


def source_id(post_type: str, number: int | str) -> str:
    """The id of a thing of WordPress, such as ``post-12``."""
    return f"{post_type}-{number}"


def clean(text: str) -> str:
    """Text that can be stored: halves of characters joined or replaced, NULs gone."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def plain(html_text: str) -> str:
    """A title or name as people read it: entities decoded, tags and line breaks gone."""
    return " ".join(clean(html.unescape(_TAG.sub("", html_text))).split())


def utc(text: object) -> datetime | None:
    """A GMT time as WordPress writes it (``2026-11-27T04:07:21``, or with a blank); None for its zero, or no time."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if found is None or found.year < 1970:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def language_code(text: object) -> str:
    """``de`` of ``de_DE``, ``de-at`` or ``de``; "" for what is no code."""
    found = _LANGUAGE.match(text) if isinstance(text, str) else None
    return found[1].lower() if found else ""


def last_change(modified: object, published: object) -> datetime | None:
    """When a thing became what it is, by its two GMT times: one that was scheduled appears after its last change."""
    return max(filter(None, (utc(modified), utc(published))), default=None)


def web_address(text: str) -> str:
    """An address that a browser opens as a page; "" for another."""
    url = clean(text.strip())
    return url if url.startswith(("http://", "https://")) else ""


def file_name(url: str) -> str:
    """The last part of an address's path."""
    return clean(PurePosixPath(unquote(urlsplit(url.strip()).path)).name)


def is_document(mime: str) -> bool:
    """Whether a file of this type has text of its own: no picture, sound or film."""
    return mime.startswith(("application/", "text/"))
