"""The demo's web process: uvicorn on a socket that the launcher has opened, so that the port is surely ours.

Run as ``python -m demo.launcher.serve LISTENER_FD GATE_FD``. It loads the site while the database is still being made
and says so through the gate. When the launcher answers, the database is filled: it waits until the worker has read the
sample content, says so, and serves at the next answer. The end of the launcher is an answer too.
"""

from __future__ import annotations

import socket
import sys
import time

import uvicorn

GRACE_S = 3
CONTENT_S = 20.0


def serve(listener_fd: int, gate_fd: int) -> None:
    """Serve until a signal ends it."""
    config = uvicorn.Config(
        "example.asgi:application",
        lifespan="off",
        access_log=False,  # its lines would hold questions and one-time tokens
        proxy_headers=False,  # nothing stands in front of a demo, so nobody's word about addresses counts
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    config.load()
    with socket.socket(fileno=gate_fd) as gate:
        gate.sendall(b"loaded")
        if not gate.recv(1):
            return
        _await_content()
        gate.sendall(b"filled")
        if not gate.recv(1):
            return
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listener_fd)])


def _await_content() -> None:
    """A site that is still being read has no answers yet; a worker that can't read it is not waited for."""
    from django.conf import settings
    from django.db import connections

    from demo.content import look
    from django_wp_ai.models import Tenant

    tenant = Tenant.objects.filter(slug=settings.HOME_PAGE_TENANT).first()
    deadline = time.monotonic() + CONTENT_S
    while tenant is not None and look(tenant).waiting and time.monotonic() < deadline:
        time.sleep(0.05)
    connections.close_all()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
