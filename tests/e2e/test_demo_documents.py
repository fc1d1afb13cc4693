"""The demo's sample content: handed in as any site's, indexed by the demo's worker, once."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest

from tests.e2e.demo_process import Demo
from tests.e2e.documents import documents, until_indexed

pytestmark = pytest.mark.e2e


def test_the_sample_pages_are_indexed_by_the_first_start_and_left_alone_by_the_second(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Demo(data).wait() as first:
        before = until_indexed(first)
        port = first.url.rpartition(":")[2]
        for document in before.values():
            assert document["url"].startswith(f"{first.url}/crumb-and-kettle/")
            assert document["title"] in httpx2.get(document["url"], timeout=60).text
        done = _ingest_work(first)
        assert done[0] == 1
    with Demo(data, "--port", port).wait() as second:
        assert documents(second) == before
        assert _ingest_work(second) == done


def test_whoever_finds_the_demo_finds_its_content(tmp_path: Path) -> None:
    with Demo(tmp_path / "data").wait() as first:
        url, headers = f"{first.url}{first.info['mount']}v1/ask", {"X-API-Key": first.info["api_key"]}
        question = {"question": "When are you open on Saturday?"}
        reply = httpx2.post(url, json=question, headers=headers, timeout=60).json()
        assert reply["supported"], first.output
        assert {citation["source_id"] for citation in reply["citations"]} == {"page-12"}


def _ingest_work(demo: Demo) -> list[int]:
    """How many jobs of the kind ``ingest`` there were, and rows in the ledger."""
    counts = "J.objects.filter(kind='ingest').count(), U.objects.count()"
    code = f"from django_wp_ai.models import Job as J, UsageEvent as U; print({counts})"
    return [int(number) for number in re.findall(r"\d+", demo.manage("shell", "-v", "0", "-c", code).stdout)]


def test_an_article_that_the_site_has_not_is_not_there(demo: Demo) -> None:
    until_indexed(demo)
    assert httpx2.get(f"{demo.url}/crumb-and-kettle/visit/", timeout=60).status_code == 200
    assert httpx2.get(f"{demo.url}/crumb-and-kettle/no-such-page/", timeout=60).status_code == 404
