"""Pages through a route whose content may change meanwhile: each page begins with the end of the one before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from django_wp_ai.rag.sources.base import SourceFailed
from django_wp_ai.rag.sources.rest import Reply, Site

PER_PAGE = 100
MAX_THINGS = 200_000
OVERLAP = 5  # so many things a page shares with the one before
MAX_STEPS_BACK = 4  # of 100, 200, 400 and 800 things
MAX_LOSSES = 20
MAX_SILENT_REPLIES = 100  # one after the other, without anything new

Thing = Mapping[str, Any]


async def things(
    site: Site, route: str, query: Mapping[str, str], *, seen: set[int], per_page: int = PER_PAGE
) -> AsyncIterator[list[Thing]]:
    """All things of a route that are not in ``seen``, which grows; ordered by id, so what is added comes at the end.

    WordPress leaves out what a visitor may not read after it has cut the page, so a short page is not the last one.
    A thing that is deleted while we page moves the later ones forward: then a page doesn't begin with what we know,
    and we go back. Raises SourceFailed rather than end too early. A single thing of more than 32 MB is left out.
    """
    walk = _Walk(per_page)
    while True:
        reply = await _page(site, route, query, walk)
        if reply is None:
            continue
        found = _valid(reply.data)
        if walk.lost_its_place(reply, found, seen):
            continue
        fresh = [thing for thing in found if thing["id"] not in seen]
        seen.update(thing["id"] for thing in fresh)
        if len(seen) > MAX_THINGS:
            raise SourceFailed("The site has more content than is read.", reason="too_many")
        if fresh:
            yield fresh
        if walk.is_over(reply, found, fresh):
            return


async def _page(site: Site, route: str, query: Mapping[str, str], walk: _Walk) -> Reply | None:
    """One page; None if a smaller one must be asked for."""
    asked = {**query, "orderby": "id", "order": "asc", "per_page": str(walk.size), "offset": str(walk.offset)}
    try:
        return await site.get(route, asked)
    except SourceFailed as error:
        if error.reason != "too_large":
            raise
        walk.shrink()
        return None


class _Walk:
    """Where we are on a route."""

    def __init__(self, size: int) -> None:
        self.size = self._usual = size
        self.offset = 0
        self._steps_back = self._losses = self._silent = 0
        self._overlaps = False
        self._last: list[int] = []

    def shrink(self) -> None:
        """Ask for less at once; of one thing that alone is too large, go past."""
        if self.size == 1:
            self.offset += 1
            self._overlaps = False
        self.size = max(1, self.size // 4)

    def lost_its_place(self, reply: Reply, found: list[Thing], seen: set[int]) -> bool:
        """Whether something was deleted before the page, so that some may have slipped by; then the next is earlier."""
        knows = any(thing["id"] in seen for thing in found) if found else reply.total is None
        if not self._overlaps or knows or self._steps_back == MAX_STEPS_BACK:
            self._steps_back = 0
            return False
        if not self._steps_back:
            self._losses += 1
        if self._losses > MAX_LOSSES:  # more is hidden from us than is deleted
            return False
        self.offset = max(0, self.offset - (self._usual << self._steps_back))
        self._overlaps = self.offset > 0
        self._steps_back += 1
        return True

    def is_over(self, reply: Reply, found: list[Thing], fresh: list[Thing]) -> bool:
        """Whether that was all; else the next page is further on."""
        ids = [thing["id"] for thing in found]
        is_same = bool(ids and self.offset and ids == self._last)
        self._last = ids
        self._silent = 0 if fresh else self._silent + 1
        if (is_same and not fresh) or self._silent > MAX_SILENT_REPLIES:
            raise SourceFailed("The site's pages don't lead on.", reason="paging")
        advance = self.size
        if reply.total is None:
            if not found or self._silent > 1:
                return True
            advance = min(self.size, len(found))
        else:
            if reply.pages is not None and reply.pages > -(-reply.total // self.size):
                # The site gives fewer at once than we asked for; no thing may fall between two pages.
                advance = self.size = self._usual = max(1, reply.total // reply.pages)
            if self.offset + advance >= reply.total:
                return True
        step = max(1, advance - OVERLAP)
        self._overlaps = step < advance
        self.offset += step
        self.size = min(self._usual, 4 * self.size)
        return False


def _valid(data: Any) -> list[Thing]:
    """The things of a page that have an id."""
    if not isinstance(data, list):
        raise SourceFailed("The site answers with something else than a list.", reason="not_json")
    return [one for one in data if isinstance(one, dict) and type(one.get("id")) is int and one["id"] > 0]
