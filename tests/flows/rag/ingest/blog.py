"""A WordPress site on loopback with posts that tests edit, as far as its REST API shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

TYPES = {"post": {"rest_base": "posts", "rest_namespace": "wp/v2"}, "page": {"rest_base": "pages"}}


class Blog:
    """``posts`` by id; ``down`` is a status that every request gets instead."""

    def __init__(self) -> None:
        self.posts: dict[int, dict[str, Any]] = {}
        self.url = ""
        self.down = 0
        self.requests: list[str] = []
        self.total = 0

    def write(self, number: int, text: str, *, modified: str = "2026-01-01T00:00:00", **fields: Any) -> None:
        self.posts[number] = {
            "id": number,
            "status": "publish",
            "link": f"{self.url}/{number}/",
            "title": {"rendered": f"Post {number}"},
            "content": {"rendered": f"<p>{text}</p>", "protected": False},
            "date_gmt": "2026-01-01T00:00:00",
            "modified_gmt": modified,
            "tags": [],
            "categories": [],
            **fields,
        }

    def answer(self, url: str) -> tuple[int, Any]:
        self.requests.append(url)
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/wp-json/wp/v2/").split("/")
        if self.down:
            return self.down, {"code": "down"}
        if path == ["types"]:
            return 200, TYPES
        if path[0] == "posts" and len(path) == 2:
            found = self.posts.get(int(path[1]))
            return (200, found) if found else (404, {"code": "rest_post_invalid_id"})
        if path[0] in ("posts", "pages"):
            rows = sorted(self.posts.values(), key=lambda row: int(row["id"])) if path[0] == "posts" else []
            after = query.get("modified_after", query.get("after", ""))[:19]
            rows = [row for row in rows if row["modified_gmt"] >= after and row["status"] == "publish"]
            self.total = len(rows)
            offset, size = int(query.get("offset", 0)), int(query.get("per_page", 10))
            return 200, rows[offset : offset + size]
        return 404, {"code": "rest_no_route"}


@contextmanager
def running() -> Iterator[Blog]:
    blog = Blog()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, data = blog.answer(self.path)
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if isinstance(data, list):
                self.send_header("X-WP-Total", str(blog.total))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        blog.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield blog
        finally:
            server.shutdown()
            thread.join()
