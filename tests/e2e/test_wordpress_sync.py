"""A whole site is pulled from a real WordPress: it converges whatever its editors did, and what stays costs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.demo_process import Demo
from tests.e2e.documents import documents, until_indexed
from tests.e2e.editors import PUBLIC, Editors, word
from tests.e2e.site import Caller
from tests.e2e.waiting import until
from tests.e2e.wordpress import WordPress
from tests.vendor.running import RunningVendor, vendor

pytestmark = pytest.mark.e2e

NOTHING = {"full": False, "seen": 0, "queued": 0, "unchanged": 0, "outdated": 0, "refused": 0, "deleted": 0}
REWRITTEN = (3, 57, 120, 199, 201, 229, 231, 252, 271, 275)
TRASHED, DELETED = (10, 90, 110, 205, 240), (11, 260)
DRAFTED, MADE_PRIVATE, LOCKED = 12, 13, 14
PUBLISHED, APPEARED, HURRIED = 280, 297, 298
MOVED, RELABELLED = 15, 16
WORDLESS = {17: "", 18: '<figure class="wp-block-image"><img src="https://example.org/rye.jpg" alt=""/></figure>'}
GONE = {*TRASHED, *DELETED, DRAFTED, MADE_PRIVATE, LOCKED, *WORDLESS}
NEW = {*(number + 1000 for number in REWRITTEN), PUBLISHED, APPEARED, HURRIED}


class Index:
    """The site as the demo knows it, and what a sync of it costs."""

    def __init__(self, demo: Demo, vendor: RunningVendor, keys: dict[str, Any]) -> None:
        self._demo, self._vendor, self._keys = demo, vendor, keys
        self._caller = Caller(demo, keys)

    def sync(self, **given: Any) -> tuple[dict[str, int], list[str]]:
        """The result of the job, and the texts that were embedded until all it took in was indexed."""
        self._vendor.clear()
        reply = self._caller.call("POST", "documents/sync", given)
        assert reply.status_code == 202, reply.text
        job = self._caller.ended(reply.json()["id"])
        assert job["status"] == "succeeded", (job, self._demo.output)
        until(self._is_settled, lambda: f"documents wait to be indexed: {self._listed('pending')}")
        asked = [request for request in self._vendor.requests if request.path.endswith("/embeddings")]
        print(f"{job['result']}, {len(asked)} calls")
        return job["result"], [text for request in asked for text in request.body["input"]]

    def documents(self) -> dict[str, dict]:
        return documents(self._demo, self._keys)

    def addresses(self) -> dict[str, str]:
        return {name: document["url"] for name, document in self.documents().items()}

    def kept(self) -> set[str]:
        """The posts' words in any column of any table."""
        url = json.loads((self._demo.data / "environment.json").read_text())["DATABASE_URL"]
        with psycopg.connect(url) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            rows = [row for (name,) in tables for (row,) in connection.execute(f'SELECT t::text FROM "{name}" t')]
        found = "\n".join(rows)
        packed = b"\n".join(bytes.fromhex(each) for each in re.findall(r"\\x((?:[0-9a-f]{2})+)", found))
        return words([found, packed.decode("latin-1")])

    def search(self, query: str) -> list[dict[str, Any]]:
        reply = self._caller.call("POST", "search", {"query": query, "k": 5})
        assert reply.status_code == 200, reply.text
        return list(reply.json()["results"])

    def _is_settled(self) -> bool:
        assert not (failed := self._listed("failed")), failed
        assert self._demo.process.poll() is None, self._demo.output
        return not self._listed("pending")

    def _listed(self, status: str) -> list[dict[str, Any]]:
        return list(self._caller.call("GET", f"documents?status={status}").json()["documents"])


def test_a_site_is_pulled_and_followed(tmp_path: Path) -> None:
    with vendor() as stand_in, _demo_of(tmp_path, stand_in) as demo, WordPress() as wordpress:
        index = Index(demo.wait(), stand_in, _tenant(demo, wordpress))
        editors = Editors(wordpress)
        editors.write_all()
        until_indexed(demo)  # the demo's own pages, whose texts would count as ours
        print(f"WordPress {wordpress.version}, {len(editors.kinds)} posts and pages")
        _all_is_taken_in(index, editors)
        _a_second_look_changes_nothing(index)
        _edits_are_followed(index, editors)
        _a_full_look_finds_new_addresses(index, editors)


def _all_is_taken_in(index: Index, editors: Editors) -> None:
    result, sent = index.sync()
    assert result == NOTHING | {"full": True, "seen": PUBLIC, "queued": PUBLIC}
    assert index.addresses() == editors.shown()
    assert len(editors.shown()) == PUBLIC
    assert words(sent) == index.kept() == {word(number) for number in range(PUBLIC)}
    blocks = index.search(word(272))[0]
    assert (blocks["source_id"], blocks["title"]) == (editors.name(272), "Bread & more, 272")
    assert "Rye 272" in blocks["content"]
    assert "A loaf of the morning" in blocks["content"]
    assert not re.search(r"wp:|\[/?caption|<\w", blocks["content"])
    for number, query in ((235, "Teig im kühlen Keller"), (255, "土曜日は午後二時まで営業")):
        assert index.search(f"{query} {word(number)}")[0]["source_id"] == editors.name(number)


def _a_second_look_changes_nothing(index: Index) -> None:
    before = index.documents()
    assert index.sync() == (NOTHING, [])
    assert index.documents() == before


def _edits_are_followed(index: Index, editors: Editors) -> None:
    _edit(editors)
    result, sent = index.sync()
    assert result == NOTHING | {"seen": 17, "queued": 15, "refused": 2, "deleted": 12}
    assert index.addresses() == editors.shown(but=WORDLESS)
    assert (words(sent), len(sent)) == ({word(number) for number in NEW}, len(NEW))
    assert index.kept() == {word(number) for number in {*range(PUBLIC)} - GONE - {*REWRITTEN} | NEW}
    for number in GONE:
        assert editors.name(number) not in {found["source_id"] for found in index.search(word(number))}
    for number in REWRITTEN:
        assert index.search(word(number + 1000))[0]["source_id"] == editors.name(number)
    assert index.sync() == (NOTHING | {"seen": 17, "unchanged": 15, "refused": 2}, [])


def _a_full_look_finds_new_addresses(index: Index, editors: Editors) -> None:
    """No post is modified by plain permalinks, and each has another address."""
    editors.do(editors.use_plain_permalinks(), *editors.restore(TRASHED[0]))
    shown = editors.shown(but=WORDLESS)
    result, sent = index.sync(full=True)
    everything = NOTHING | {"full": True, "seen": len(shown) + 2, "refused": 2}
    assert result == everything | {"queued": len(shown)}
    assert index.addresses() == shown
    assert words(sent) == {word(TRASHED[0])}
    assert index.sync(full=True) == (everything | {"unchanged": len(shown)}, [])
    assert index.sync() == (NOTHING | {"seen": 18, "unchanged": 16, "refused": 2}, [])


def words(texts: Iterable[str]) -> set[str]:
    return set(re.findall(r"zeta\d{4}", "\n".join(texts)))


def _demo_of(folder: Path, stand_in: RunningVendor) -> Demo:
    model = "openai:text-embedding-3-small"
    return Demo(folder, OPENAI_BASE_URL=stand_in.openai_url, OPENAI_API_KEY="sk-test", EMBEDDING_MODEL=model)


def _tenant(demo: Demo, wordpress: WordPress) -> dict[str, Any]:
    """The keys of a tenant whose site this is."""
    said = demo.manage("wp_ai_tenant", "create", "bakery", "--site-url", wordpress.url, "--json")
    assert said.returncode == 0, said.stderr
    return dict(json.loads(said.stdout))


def _edit(editors: Editors) -> None:
    editors.do(
        *map(editors.rewrite, REWRITTEN),
        *map(editors.trash, TRASHED),
        *map(editors.delete, DELETED),
        editors.change(DRAFTED, post_status="draft"),
        editors.change(MADE_PRIVATE, post_status="private"),
        editors.change(LOCKED, post_password="open"),
        editors.change(PUBLISHED, post_status="publish"),
        editors.let_appear(APPEARED),
        editors.publish_now(HURRIED),
        editors.change(MOVED, post_name="bread-of-the-year"),
        editors.change(RELABELLED, tags_input=["new"]),
        *(editors.change(number, post_content=html) for number, html in WORDLESS.items()),
    )
