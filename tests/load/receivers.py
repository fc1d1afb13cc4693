"""A site that takes callbacks: a real server on loopback that remembers what it was sent, and acts once an id."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Site:
    """What arrived: ``ids`` of callbacks by job, and ``effects``, which a repeated id does not repeat."""

    def __init__(self) -> None:
        self.url = ""
        self.ids: dict[str, set[str]] = {}
        self.effects: Counter[str] = Counter()
        self.received = 0
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def take(self, message_id: str, body: dict[str, Any]) -> None:
        """One delivery."""
        job_id = body["data"]["id"]
        with self._lock:
            self.received += 1
            self.ids.setdefault(job_id, set()).add(message_id)
            if message_id not in self._seen:
                self._seen.add(message_id)
                self.effects[job_id] += 1


@contextmanager
def receiving_site() -> Iterator[Site]:
    """A site on a free port, until the block ends."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            site.take(self.headers["webhook-id"], json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}/callback"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
