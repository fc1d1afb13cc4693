"""What is handed in: checked, and named by a hash, so that the same content is known again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Invalid, TooLarge
from django_wp_ai.jobs import inputs, payload
from django_wp_ai.models import Tenant
from django_wp_ai.rag.extract import ExtractionFailed
from django_wp_ai.rag.extract.html import MAX_INLINE_CHARS, markdown_of
from django_wp_ai.rag.sources.base import NOTHING
from django_wp_ai.security import outbound

MAX_TAGS = 100
LENGTHS = {"source_id": 255, "title": 500, "url": 2000, "file_url": 2000, "mime": 127, "filename": 255}
LENGTHS |= {"post_type": 64, "language": 16}
#: The path of this name asks for a sync.
RESERVED = frozenset({"sync"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MARKDOWN, HTML = "text/markdown", "text/html"


@dataclass(frozen=True, kw_only=True)
class NewDocument:
    """A post, a page, a file. One of ``text`` (plain or Markdown), ``html``, ``data`` and ``file_url`` is its content.

    With ``is_pulled`` it is none of them: the post is fetched from the site by its source id. ``modified_at`` is when
    the site changed it; without it, it is news. ``seen_at`` is when it was seen to stand on the site, which brings back
    what was deleted before then. ``tells``: the site's callback URL is told when it is indexed.
    """

    source_id: str
    title: str = ""
    url: str = ""
    text: str = ""
    html: str = ""
    data: bytes = b""
    file_url: str = ""
    is_pulled: bool = False
    mime: str = ""
    filename: str = ""
    post_type: str = ""
    language: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    modified_at: datetime | None = None
    seen_at: datetime | None = None
    tells: bool = True

    @property
    def content(self) -> bytes:
        """The bytes that are kept until they were read; empty for what is to be fetched."""
        return self.data or (self.text or self.html).encode()

    @property
    def content_mime(self) -> str:
        """How those bytes are to be read."""
        return self.mime if self.data else MARKDOWN if self.text else HTML if self.html else self.mime

    @cached_property
    def content_hash(self) -> str:
        """The same for what would be indexed the same; empty for what is to be fetched."""
        content = self.said.encode() if self.content_mime == HTML and not self.data else self.content
        return hash_of(self, content, self.content_mime) if self.content else ""

    @cached_property
    def said(self) -> str:
        """What a post's HTML says to a reader; a very long one as it is."""
        return said_by(self.html)

    def prepare(self) -> None:
        """Work out now what takes a while, before anything is locked for it."""
        _ = self.content_hash

    @property
    def is_wordless(self) -> bool:
        """Whether it is a post in which there is nothing to read."""
        return not (self.text.strip() or self.data or self.file_url or self.is_pulled or self.said.strip())


def said_by(html: str) -> str:
    """What stays the same however often a post is rendered, and beside whichever others.

    WordPress numbers elements, makes nonces, and tells the first picture of a reply from those further down.
    """
    try:
        return markdown_of(html) if len(html) <= MAX_INLINE_CHARS else html
    except ExtractionFailed:
        return html


def hash_of(new: NewDocument, content: bytes, mime: str) -> str:
    """SHA-256 of a content and all that its index says of it."""
    named = [new.title, new.url, new.post_type, new.language, list(new.tags), dict(new.metadata)]
    return payload.digest(named, mime, hashlib.sha256(content).hexdigest())


def check(tenant: Tenant, new: NewDocument) -> None:
    """Raise Invalid, with the field, for what can't be taken in, and TooLarge for too many bytes."""
    for name, most in LENGTHS.items():
        inputs.check_text(getattr(new, name), field=name, most=most)
    if not new.source_id.strip():
        raise inputs.invalid("source_id", "The site's own name for the document.")
    if _CONTROL.search(new.source_id):
        raise inputs.invalid("source_id", "No control characters: it is a part of addresses.")
    if new.source_id in RESERVED:
        raise inputs.invalid("source_id", f"{new.source_id} is the name of a call; give another one.")
    if len(new.tags) > MAX_TAGS:
        raise inputs.invalid("tags", f"At most {MAX_TAGS} tags.")
    for tag in new.tags:
        inputs.check_text(tag, field="tags", most=200)
    inputs.dumped(dict(new.metadata), field="metadata", most_bytes=inputs.MAX_METADATA_BYTES)
    inputs.check_text(new.text, field="text", most=settings.max_upload_bytes)
    inputs.check_text(new.html, field="html", most=settings.max_upload_bytes)
    _check_content(new)
    _check_urls(tenant, new)
    if new.modified_at is not None and timezone.is_naive(new.modified_at):
        raise inputs.invalid("modified_at", "A time with its time zone.")


def _check_content(new: NewDocument) -> None:
    given = [name for name in ("text", "html", "data", "file_url", "is_pulled") if getattr(new, name)]
    if len(given) != 1:
        message = "Give one of text, html, file_url, or upload a file."
        raise Invalid(message, errors=[{"field": "text", "message": message}], param="text")
    if len(new.content) > settings.max_upload_bytes:
        raise TooLarge(f"A file has at most {settings.max_upload_bytes} bytes.")
    if not new.is_pulled and not new.file_url and not new.content.strip():
        raise inputs.invalid("file" if new.data else given[0], "There is nothing in it.")


def _check_urls(tenant: Tenant, new: NewDocument) -> None:
    if new.file_url:
        try:
            outbound.check_url(new.file_url, allowed_hosts=tenant.callback_hosts)
        except outbound.OutboundError as error:
            raise inputs.invalid("file_url", str(error)) from None
    if new.url and not new.url.lower().startswith(("http://", "https://")):
        raise inputs.invalid("url", "A page's address begins with https:// or http://.")


def described(new: NewDocument) -> dict[str, Any]:
    """What a job's input and a document's row hold of it: all but the content."""
    told: dict[str, Any] = {name: getattr(new, name) for name in ("title", "url", "mime", "post_type", "language")}
    return told | {"tags": list(new.tags), "metadata": dict(new.metadata)}
