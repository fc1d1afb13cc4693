"""The sample pages of a demo, and all documents of a tenant, as the demo's API tells of them."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.e2e.demo_process import Demo
from tests.e2e.waiting import until

SAMPLES = {"page-12", "page-19", "page-23", "post-31", "post-38", "post-44"}


def until_indexed(demo: Demo) -> dict[str, dict]:
    """The sample pages by source id, once the demo's worker has read them all."""

    def found() -> dict[str, dict]:
        there = {name: each for name, each in documents(demo).items() if name in SAMPLES}
        statuses = {each["status"] for each in there.values()}
        assert "failed" not in statuses, there
        assert demo.process.poll() is None, demo.output
        return there if there.keys() == SAMPLES and statuses == {"indexed"} else {}

    return until(found, lambda: f"the sample pages are not indexed: {documents(demo)}")


def documents(demo: Demo, keys: dict[str, Any] | None = None) -> dict[str, dict]:
    """What the demo's API lists to its tenant, or to the one with these ``keys``, by source id."""
    found: dict[str, dict] = {}
    asked: dict[str, str] = {"limit": "100"}
    while True:
        url = f"{demo.url}{demo.info['mount']}v1/documents"
        reply = httpx2.get(url, params=asked, headers={"X-API-Key": (keys or demo.info)["api_key"]}, timeout=60).json()
        found.update((document["source_id"], document) for document in reply["documents"])
        if not reply["next_cursor"]:
            return found
        asked["cursor"] = reply["next_cursor"]
