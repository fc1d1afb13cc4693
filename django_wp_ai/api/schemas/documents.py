"""Documents as sites hand them in: whole, by an address, or only named so that they are fetched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from django_wp_ai.api.uploads import Upload
from django_wp_ai.rag.ingest import NewDocument
from django_wp_ai.schemas.base import Strict


def _time(value: Any) -> datetime | None:
    """Text (RFC 3339); WordPress' own times in UTC have no zone."""
    if value in ("", None):
        return None
    if not isinstance(value, str):
        raise ValueError("a time as text (RFC 3339)")
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("a time as text (RFC 3339)") from None


def _id(value: Any) -> int:
    """PHP writes an id as a number or as its digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**18:
        raise ValueError("a positive whole number")
    return value


ModifiedAt = Annotated[
    datetime | None,
    BeforeValidator(_time),
    Field(description="When it was changed last (RFC 3339; without zone: UTC)."),
]
PostId = Annotated[int, BeforeValidator(_id), Field(description="WordPress' id.")]
PostType = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9_-]*$", description="WordPress' name of its type.")]
Title = Annotated[str, Field(max_length=500)]
Address = Annotated[str, Field(max_length=2000)]
Tags = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)]
Language = Annotated[str, Field(max_length=16, pattern=r"^[A-Za-z0-9_-]*$", description="Found out where not given.")]


class DocumentMetadata(BaseModel):
    """What searches filter by; whatever else stands in it is kept with the document."""

    model_config = ConfigDict(extra="allow", strict=True)

    post_type: PostType = ""
    tags: Tags = []
    lang: Language = ""
    modified_at: ModifiedAt = None


class DocumentIn(Strict):
    """A document; exactly one of ``text``, ``html``, ``file_url`` is its content, unless a file is uploaded."""

    source_id: Annotated[str, Field(min_length=1, max_length=255, description="The site's own name for it.")]
    title: Title = ""
    url: Annotated[Address, Field(description="Where people read it; answers link there.")] = ""
    text: Annotated[str, Field(description="Plain text or Markdown.")] = ""
    html: str = ""
    file_url: Annotated[Address, Field(description="The file is fetched from there.")] = ""
    mime: Annotated[str, Field(max_length=127, description="Of the file; what it is, is found out by its bytes.")] = ""
    metadata: DocumentMetadata = DocumentMetadata()

    def to_new(self, upload: Upload | None) -> NewDocument:
        """As plain data."""
        given = self.metadata
        return NewDocument(
            source_id=self.source_id,
            title=self.title,
            url=self.url,
            text=self.text,
            html=self.html,
            file_url=self.file_url,
            data=upload.content if upload else b"",
            filename=upload.filename if upload else "",
            mime=self.mime or (upload.mime if upload else ""),
            post_type=given.post_type,
            language=given.lang,
            tags=tuple(given.tags),
            metadata=given.model_extra or {},
            modified_at=given.modified_at,
        )


class SyncIn(Strict):
    """Whether everything is looked through, or what has changed since the last sync."""

    full: bool = False


class DocumentsIn(BaseModel):
    """Which documents are listed."""

    status: Annotated[
        Literal["", "pending", "indexed", "failed", "deleted"], Field(description="Only these; else all but deleted.")
    ] = ""
    post_type: Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$", description="Only of this type.")] = ""
    cursor: Annotated[str, Field(max_length=200, description="The next_cursor of the page before.")] = ""
    limit: Annotated[int, Field(ge=1, le=100, description="Documents on a page.")] = 50


class SiteEvent(Strict):
    """``site_id`` may say whose event it is: the site's slug or its address."""

    site_id: Annotated[str, Field(max_length=200)] = ""


class PostEvent(SiteEvent):
    """A post was saved. Without ``html`` or ``text`` it is fetched from the site."""

    id: PostId
    post_type: PostType = "post"
    status: Annotated[str, Field(max_length=20, description="Any but publish takes it out.")] = "publish"
    title: Title = ""
    url: Address = ""
    text: str = ""
    html: str = ""
    tags: Tags = []
    lang: Language = ""
    modified_at: ModifiedAt = None

    @property
    def source_id(self) -> str:
        """Its name in the index."""
        return f"{self.post_type or 'post'}-{self.id}"

    def to_new(self) -> NewDocument:
        """As plain data."""
        return NewDocument(
            source_id=self.source_id,
            title=self.title,
            url=self.url,
            text=self.text,
            html=self.html,
            is_pulled=not (self.text or self.html),
            post_type=self.post_type or "post",
            language=self.lang,
            tags=tuple(self.tags),
            modified_at=self.modified_at,
        )


class MediaEvent(SiteEvent):
    """A file was added to the media library; it is fetched from ``file_url``."""

    attachment_id: PostId
    file_url: Annotated[Address, Field(min_length=1)]
    title: Title = ""
    mime: Annotated[str, Field(max_length=127)] = ""
    tags: Tags = []
    lang: Language = ""
    modified_at: ModifiedAt = None

    def to_new(self) -> NewDocument:
        """As plain data."""
        return NewDocument(
            source_id=f"attachment-{self.attachment_id}",
            title=self.title,
            url=self.file_url,
            file_url=self.file_url,
            mime=self.mime,
            post_type="attachment",
            language=self.lang,
            tags=tuple(self.tags),
            modified_at=self.modified_at,
        )


class DeleteEvent(SiteEvent):
    """A post or file is gone: named by ``id`` and ``post_type``, by ``attachment_id``, or by ``source_id``."""

    id: PostId | None = None
    attachment_id: PostId | None = None
    post_type: PostType = "post"
    source_id: Annotated[str, Field(max_length=255)] = ""
    modified_at: ModifiedAt = None

    @model_validator(mode="after")
    def names_one_thing(self) -> DeleteEvent:
        """Exactly one of its names."""
        if sum(bool(name) for name in (self.id, self.attachment_id, self.source_id)) != 1:
            raise ValueError("one of id, attachment_id and source_id")
        return self

    @property
    def name(self) -> str:
        """Its name in the index."""
        if self.attachment_id:
            return f"attachment-{self.attachment_id}"
        return self.source_id or f"{self.post_type or 'post'}-{self.id}"
