"""What a visitor may read of a WordPress site: posts, pages and chosen post types, through its REST API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django_wp_ai.models import Tenant
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
from django_wp_ai.rag.sources.paging import PER_PAGE, Thing, things
from django_wp_ai.rag.sources.rest import Site

DEFAULT_TYPES = ("post", "page")
ATTACHMENT = "attachment"
#: The site's clock and ours differ, and a post may be saved while we page.
MARGIN = timedelta(minutes=5)

_STANDING = "id,status,content.protected"
_FIELDS = "id,status,link,title,content,date_gmt,modified_gmt,tags,categories,lang"
_FILE_FIELDS = "id,status,link,title,date_gmt,modified_gmt,source_url,mime_type,lang"


async def pages(tenant: Tenant, *, since: datetime | None = None) -> AsyncIterator[list[SourceDocument]]:
    """What is published, by ``tenant.content_types``, up to 100 at a time; ``since`` leaves out what is older.

    Private, password-protected and unpublished content is left out. What was changed in the five minutes before
    ``since`` comes too, and what was scheduled and has appeared. Raises SourceFailed.
    """
    site = Site(tenant)
    names = _Names(site)
    for kind in await _kinds(tenant, site):
        seen: set[int] = set()
        for query in _queries(kind, since):
            async for found in things(site, kind.route, query, seen=seen):
                public = [thing for thing in found if _is_wanted(thing, kind)]
                await names.learn(public)
                if documents := [_document(thing, kind, names) for thing in public]:
                    yield documents


async def all_ids(tenant: Tenant) -> set[str]:
    """The source ids of all that ``pages`` would yield without ``since``; what else is indexed was deleted or hidden.

    Pictures are among them: a sync does not pull them, but an event of the site may have brought them in. Raises
    SourceFailed rather than leave one out that can't be read.
    """
    site = Site(tenant)
    ids: set[str] = set()
    for kind in await _kinds(tenant, site):
        fields = "id,status" if kind.name == ATTACHMENT else _STANDING
        async for found in things(site, kind.route, {"_fields": fields}, seen=set()):
            ids.update(source_id(kind.name, thing["id"]) for thing in found if _is_seen(thing, kind))
    return ids


async def one(tenant: Tenant, name: str) -> SourceDocument | None:
    """A thing by its source id, of any post type that the site shows; None where a visitor sees none.

    Raises SourceFailed.
    """
    post_type, _, number = name.rpartition("-")
    if not (number.isascii() and number.isdigit()):
        return None
    site = Site(tenant)
    names = _Names(site)
    [kind] = _chosen([post_type], await site.types())
    try:
        reply = await site.get(
            f"{kind.route}/{number}", {"_fields": _FILE_FIELDS if kind.name == ATTACHMENT else _FIELDS}
        )
    except SourceFailed as error:
        if error.reason in {"refused", "not_found"}:
            return None
        raise
    thing = reply.data
    if not isinstance(thing, dict) or type(thing.get("id")) is not int or not _is_wanted(thing, kind):
        return None
    await names.learn([thing])
    return _document(thing, kind, names)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A post type, and its route in the API."""

    name: str
    route: str


async def _kinds(tenant: Tenant, site: Site) -> list[_Kind]:
    """The chosen post types; raises SourceFailed if the site doesn't show one of them."""
    return _chosen(tenant.content_types or DEFAULT_TYPES, await site.types())


def _chosen(names: Iterable[str], known: Mapping[str, Any]) -> list[_Kind]:
    found = []
    for name in dict.fromkeys(names):
        told = known.get(name)
        base = told.get("rest_base") if isinstance(told, dict) else None
        if not isinstance(told, dict) or not isinstance(base, str) or not base or "(" in base:
            raise SourceFailed(f"The site's REST API does not show the post type {name!r}.", reason="unknown_type")
        space = told.get("rest_namespace")
        found.append(_Kind(name, f"/{space if isinstance(space, str) and space else 'wp/v2'}/{base}"))
    return found


def _queries(kind: _Kind, since: datetime | None) -> list[dict[str, str]]:
    fields = {"_fields": _FILE_FIELDS if kind.name == ATTACHMENT else _FIELDS}
    if since is None:
        return [fields]
    after = (since - MARGIN).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    # A scheduled post that appears is not modified by it, but dated.
    return [{**fields, "modified_after": after}, {**fields, "after": after}]


def _is_wanted(thing: Thing, kind: _Kind) -> bool:
    """Whether it is pulled: all that a visitor sees, of files those with text of their own."""
    is_read = kind.name != ATTACHMENT or is_document(_text(thing.get("mime_type")))
    return is_read and _is_seen(thing, kind)


def _is_seen(thing: Thing, kind: _Kind) -> bool:
    """Whether a visitor sees it, also if the site told us more than that."""
    if kind.name == ATTACHMENT:  # its own status is its parent's; the API shows those of published ones only
        return thing.get("status") in {"inherit", "publish"}
    content = thing.get("content")
    return thing.get("status") == "publish" and isinstance(content, dict) and content.get("protected") is False


def _document(thing: Thing, kind: _Kind, names: _Names) -> SourceDocument:
    url = _text(thing.get("source_url" if kind.name == ATTACHMENT else "link"))
    is_file = kind.name == ATTACHMENT
    return SourceDocument(
        source_id=source_id(kind.name, thing["id"]),
        title=plain(_text(thing.get("title"))),
        url=web_address(url),
        html="" if is_file else clean(_text(thing.get("content"))),
        mime=_text(thing.get("mime_type")) if is_file else "text/html",
        filename=file_name(url) if is_file else "",
        post_type=kind.name,
        language=language_code(thing.get("lang")),
        tags=names.of(thing),
        modified_at=last_change(thing.get("modified_gmt"), thing.get("date_gmt")),
        metadata={"page_url": web_address(_text(thing.get("link")))} if is_file else {},
    )


def _text(value: Any) -> str:
    """A text as the API gives it: plain, or what it is rendered to."""
    if isinstance(value, Mapping):
        value = value.get("rendered")
    return value if isinstance(value, str) else ""


class _Names:
    """The names of tags and categories, asked for once each."""

    ROUTES = (("categories", "/wp/v2/categories"), ("tags", "/wp/v2/tags"))

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[tuple[str, int], str] = {}

    async def learn(self, found: Iterable[Thing]) -> None:
        """Ask for the names that the things have and we don't."""
        for field, route in self.ROUTES:
            wanted = sorted({number for thing in found for number in _numbers(thing.get(field))})
            missing = [number for number in wanted if (field, number) not in self._known]
            for first in range(0, len(missing), PER_PAGE):
                await self._ask(field, route, missing[first : first + PER_PAGE])

    async def _ask(self, field: str, route: str, numbers: list[int]) -> None:
        self._known.update(((field, number), "") for number in numbers)
        query = {"include": ",".join(map(str, numbers)), "per_page": str(PER_PAGE), "_fields": "id,name"}
        try:
            reply = await self._site.get(route, query)
        except SourceFailed as error:
            if error.reason in {
                "refused",
                "blocked",
                "not_found",
            }:  # a site may hide who uses which words, and still be read
                return
            raise
        for term in reply.data if isinstance(reply.data, list) else ():
            if isinstance(term, dict) and type(term.get("id")) is int:
                self._known[field, term["id"]] = plain(_text(term.get("name")))

    def of(self, thing: Thing) -> tuple[str, ...]:
        """The names of a thing's categories and tags."""
        found = (self._known.get((field, number)) for field, _ in self.ROUTES for number in _numbers(thing.get(field)))
        return tuple(dict.fromkeys(name for name in found if name))


def _numbers(value: Any) -> list[int]:
    return [one for one in value if type(one) is int] if isinstance(value, list) else []
