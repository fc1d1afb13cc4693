"""What a WordPress site does with jobs: signed calls, and verifying what comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
from standardwebhooks.webhooks import Webhook

from tests.e2e.demo_process import Demo
from tests.e2e.waiting import PATIENCE_S, until
from tests.flows.callbacks.receiver import Receiver
from tests.signing import message_signature


class Caller:
    """Calls the demo with a signing key: that of ``demo.json``, or another tenant's ``keys`` in the same shape."""

    def __init__(self, demo: Demo, keys: dict[str, Any] | None = None) -> None:
        self.demo = demo
        self.keys = keys or demo.info

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """One signed call; ``path``, which may have a query, is under ``v1/``."""
        keys, full = self.keys["hmac"], f"{self.demo.info['mount']}v1/{path}"
        signed, _, query = full.partition("?")
        sent = b"" if body is None else json.dumps(body).encode()
        proof = message_signature(keys["keyid"], keys["secret"], method=method, path=signed, query=query, body=sent)
        typed = {} if body is None else {"Content-Type": "application/json"}
        return httpx2.request(method, self.demo.url + full, content=sent, headers=proof | typed | headers, timeout=60)

    def polled(self, job_id: str) -> Iterator[httpx2.Response]:
        """The replies to a poller that sends the ETag it has, until the job has ended."""
        etag, job = "", {"status": "queued"}
        deadline = time.monotonic() + PATIENCE_S
        while job["status"] in {"queued", "running"}:
            assert time.monotonic() < deadline, f"The job did not end: {job}\n{self.demo.output}"
            reply = self.call("GET", f"jobs/{job_id}", **({"If-None-Match": etag} if etag else {}))
            if reply.status_code == 200:
                etag, job = reply.headers["etag"], reply.json()
            yield reply
            time.sleep(0.05)

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended."""
        *_, last = self.polled(job_id)
        return dict(last.json())


class Site(Caller):
    """A site with a server of its own, where it is called back."""

    def __init__(self, demo: Demo, receiver: Receiver) -> None:
        super().__init__(demo)
        self.receiver = receiver

    def hand_in(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        """Create a job that calls this site's receiver back."""
        reply = self.call("POST", "jobs", {"kind": kind, "input": given, "callback_url": self.receiver.url})
        assert reply.status_code == 202, reply.text
        assert reply.headers["location"] == f"{self.demo.info['mount']}v1/jobs/{reply.json()['id']}"
        return dict(reply.json())

    def callbacks(self, job_id: str) -> list[tuple[str, dict[str, Any]]]:
        """The id and event of each callback of a job, all verified; waits for the first one."""
        webhook = Webhook(self.keys["callback_secret"])

        def mine() -> list[tuple[str, dict[str, Any]]]:
            assert self.demo.process.poll() is None, self.demo.output
            events = [
                (headers["webhook-id"], webhook.verify(body, headers)) for headers, body in self.receiver.received
            ]
            return [(message, event) for message, event in events if event["data"]["id"] == job_id]

        return until(mine, lambda: f"no callback of job {job_id} came.\n{self.demo.output}")
