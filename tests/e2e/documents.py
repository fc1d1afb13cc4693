"""The sample pages of a demo, as its API tells of them."""

from __future__ import annotations

import time

import httpx2

from tests.e2e.demo_process import Demo

SAMPLES = {"page-12", "page-19", "page-23", "post-31", "post-38", "post-44"}


def until_indexed(demo: Demo) -> dict[str, dict]:
    """The sample pages by source id, once the demo's worker has read them all."""
    while True:
        found = {name: each for name, each in documents(demo).items() if name in SAMPLES}
        if found.keys() == SAMPLES and all(each["status"] == "indexed" for each in found.values()):
            return found
        assert "failed" not in {each["status"] for each in found.values()}, found
        assert demo.process.poll() is None, demo.output
        time.sleep(0.05)


def documents(demo: Demo) -> dict[str, dict]:
    """What the demo's API lists, by source id."""
    url = f"{demo.url}{demo.info['mount']}v1/documents"
    reply = httpx2.get(url, headers={"X-API-Key": demo.info["api_key"]}, timeout=60).json()
    return {document["source_id"]: document for document in reply["documents"]}
