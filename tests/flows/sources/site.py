"""A server on loopback that speaks ``wp/v2`` as WordPress does, and can be told to change or fail between requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

Row = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]


def post(number: int, **fields: Any) -> Row:
    """A post as the API shows it, with ``_when`` (what ``modified_after`` compares) beside."""
    return {
        "id": number,
        "status": "publish",
        "link": f"https://example.org/{number}/",
        "title": {"rendered": f"Post {number} &#8211; &amp;c."},
        "content": {"rendered": f"<p>Content of {number}.</p>", "protected": False},
        "date_gmt": "2026-01-01T00:00:00",
        "modified_gmt": "2026-01-02T03:04:05",
        "tags": [],
        "categories": [],
        **fields,
    }


class WordPress:
    """The site: change ``rows`` between pages through ``before``, which is called with each request's number."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {"posts": [], "pages": [], "media": [], "books": []}
        self.terms: dict[str, dict[int, str]] = {"tags": {}, "categories": {}}
        self.types: Any = {
            "post": {"rest_base": "posts", "rest_namespace": "wp/v2"},
            "page": {"rest_base": "pages"},
            "attachment": {"rest_base": "media", "rest_namespace": "wp/v2"},
            "book": {"rest_base": "books", "rest_namespace": "shop/v1"},
        }
        self.hidden: set[int] = set()  # left out of a page after it was cut, as WordPress does
        self.plain_permalinks = False
        self.tells_totals = True
        self.most_per_page = 100
        self.before: Callable[[int], None] = lambda number: None
        self.answers: dict[int, Answer] = {}  # by the number of the request
        self.always: Callable[[str, dict[str, str]], Answer | None] = lambda route, query: None
        self.requests: list[tuple[str, dict[str, str]]] = []

    @property
    def lists(self) -> list[dict[str, str]]:
        """The queries that asked for content."""
        return [query for route, query in self.requests if route.rpartition("/")[2] in self.rows]

    def answer(self, url: str) -> Answer:
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        route = query.pop("rest_route", "") if self.plain_permalinks else parts.path.removeprefix("/wp-json")
        self.requests.append((route, query))
        self.before(len(self.requests))
        told = self.answers.get(len(self.requests)) or self.always(route, query)
        if told:
            return told
        if self.plain_permalinks and not route:
            return 200, {"Content-Type": "text/html"}, b"<!doctype html><title>Home</title>"
        name = route.rpartition("/")[2]
        if name == "types":
            return self._json(self.types)
        if name in self.terms:
            wanted = [int(number) for number in query["include"].split(",")]
            known = self.terms[name]
            return self._json([{"id": number, "name": known[number]} for number in wanted if number in known])
        return self._list(self.rows[name], query) if name in self.rows else (404, {}, b'{"code": "rest_no_route"}')

    def _list(self, rows: list[Row], query: dict[str, str]) -> Answer:
        assert (query["orderby"], query["order"]) == ("id", "asc")
        after, modified = query.get("after", ""), query.get("modified_after", "")
        found = [row for row in rows if row["date_gmt"] >= after[:19] and row["modified_gmt"] >= modified[:19]]
        found.sort(key=lambda row: int(row["id"]))
        offset, size = int(query["offset"]), min(int(query["per_page"]), self.most_per_page)
        page = [row for row in found[offset : offset + size] if row["id"] not in self.hidden]
        total = len(found) if offset < len(found) else 0  # WordPress forgets the number behind the end
        headers = {"X-WP-Total": str(total), "X-WP-TotalPages": str(-(-total // size))}
        return self._json(page, headers if self.tells_totals else {})

    def _json(self, data: Any, headers: dict[str, str] | None = None) -> Answer:
        return 200, {"Content-Type": "application/json", **(headers or {})}, json.dumps(data).encode()


@contextmanager
def running(site: WordPress) -> Iterator[str]:
    """The site behind a port of its own; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = site.answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
