"""A WordPress export file (WXR: an RSS feed with WordPress's own elements), read as a stream."""

from __future__ import annotations

import logging
import mimetypes
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from django_wp_ai.rag.sources.base import (
    SourceDocument,
    SourceFailed,
    clean,
    file_name,
    is_document,
    language_code,
    last_change,
    plain,
    source_id,
    web_address,
)
from django_wp_ai.rag.sources.wxr_items import Item, items

DEFAULT_TYPES: Final = ("post", "page", "attachment")
MAX_FILE_BYTES: Final = 2 * 1024 * 1024 * 1024
_LABELS: Final = frozenset({"category", "post_tag"})
logger = logging.getLogger(__name__)


def read(path: str | os.PathLike[str], *, post_types: Collection[str] = DEFAULT_TYPES) -> Iterator[SourceDocument]:
    """The published things of an export, one in memory at a time.

    Drafts, private and password-protected things are left out, with the attachments that belong to them; so are other
    post types, comments, pictures and films. A thing of more than 32 million characters is left out with a warning in
    the log. The file is read twice, so one that is no whole export raises SourceFailed before anything is yielded.
    """
    file = Path(path)
    hidden = {_id(item) for item in _items(file) if not _is_public(item)}
    return (
        _document(item)
        for item in _items(file)
        if _is_public(item) and _type(item) in post_types and not _is_left_out(item, hidden)
    )


def _items(path: Path) -> Iterator[Item]:
    try:
        with path.open("rb") as opened:
            if os.fstat(opened.fileno()).st_size > MAX_FILE_BYTES:
                raise SourceFailed("The export is too large.", reason="too_large")
            yield from items(opened)
    except OSError as error:
        raise SourceFailed(f"The export can't be read: {error.strerror}.", reason="no_file") from None


def _id(item: Item) -> str:
    return item.texts.get("post_id", "").strip()


def _type(item: Item) -> str:
    return item.texts.get("post_type", "").strip()


def _is_public(item: Item) -> bool:
    """Whether every visitor may see it: an attachment says ``inherit``, and goes by what it belongs to."""
    status = item.texts.get("status", "").strip()
    wanted = "inherit" if _type(item) == "attachment" else "publish"
    return status in {wanted, "publish"} and not item.texts.get("post_password", "").strip()


def _is_left_out(item: Item, hidden: set[str]) -> bool:
    number = _id(item)
    if not (number.isascii() and number.isdigit() and len(number) <= 20) or len(_type(item)) > 64:
        return True
    if item.is_cut:
        logger.warning("The export's %s %s is too large and is left out.", _type(item), number)
        return True
    if _type(item) != "attachment":
        return False
    return not is_document(_mime(item)) or item.texts.get("post_parent", "").strip() in hidden


def _mime(item: Item) -> str:
    """What the name says; the export doesn't tell."""
    return mimetypes.guess_type(file_name(item.texts.get("attachment_url", "")))[0] or ""


def _document(item: Item) -> SourceDocument:
    texts = item.texts
    is_file = _type(item) == "attachment"
    url = texts.get("attachment_url", "") if is_file else texts.get("link", "")
    languages = [slug for domain, slug, _ in item.terms if domain == "language"]  # as Polylang writes it
    labels = (plain(label) for domain, _, label in item.terms if domain in _LABELS)
    return SourceDocument(
        source_id=source_id(_type(item), int(_id(item))),
        title=plain(texts.get("title", "")),
        url=web_address(url),
        html="" if is_file else clean(texts.get("content", "")),
        mime=_mime(item) if is_file else "text/html",
        filename=file_name(url) if is_file else "",
        post_type=_type(item),
        language=language_code(languages[0] if languages else item.language),
        tags=tuple(dict.fromkeys(filter(None, labels))),
        modified_at=last_change(texts.get("post_modified_gmt"), texts.get("post_date_gmt")),
        metadata={"page_url": web_address(texts.get("link", ""))} if is_file else {},
    )
