"""The demo's web process: uvicorn on a socket that the launcher has opened, so that the port is surely ours.

Run as ``python -m demo.launcher.serve LISTENER_FD GATE_FD``. It loads the site while the database is still being made,
says so through the gate and serves when the launcher answers; the end of the launcher is an answer too.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

GRACE_S = 3


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
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listener_fd)])


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
