"""The indexes over vectors: made once, whole, and telling how they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from pgvector.django import CosineDistance

from django_wp_ai import tasks
from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Chunk, Document, SiteIndex, Tenant
from django_wp_ai.rag import index
from django_wp_ai.rag.index import vectors
from django_wp_ai.rag.index.inspecting import nearest
from django_wp_ai.rag.search import find
from tests.factories import TenantFactory
from tests.flows.rag.search.passages import MODEL, SIZE, embedded, write

NAME = index.name_of(MODEL, SIZE)
TEXTS = [f"Passage {n} about tomato number {n * n} and rose {n % 7}." for n in range(60)]


@pytest.fixture
def tenant(db: None) -> Tenant:
    return TenantFactory.create()


def definition() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [NAME])
        row = cursor.fetchone()
    return row[0] if row else ""


@pytest.mark.postgresql
def test_an_index_is_made_once_for_a_model_and_its_dimensions(tenant: Tenant) -> None:
    write(tenant, "post-1", TEXTS)

    assert [index.ensure(MODEL, SIZE), index.ensure(MODEL, SIZE)] == [True, False]
    made = definition()
    assert "USING hnsw" in made
    assert f"halfvec({SIZE})" in made
    assert "is_live" in made
    index.drop(MODEL, SIZE)
    assert definition() == ""
    index.drop(MODEL, SIZE)


@pytest.mark.postgresql
@pytest.mark.parametrize("model", ["x:" + "m" * 126, 'it\'s:a "model"; DROP TABLE x', "100%s:{name}", "ü:模型"])
def test_any_name_of_a_model_can_be_indexed_and_searched(tenant: Tenant, model: str) -> None:
    write(tenant, "post-1", TEXTS[:5], embedding_model=model)

    assert index.ensure(model, SIZE)
    assert len(index.name_of(model, SIZE)) <= 63
    vector = embedded(TEXTS[3])
    assert find(tenant, query="x", vector=vector, model=model, k=1, mode="vector")[0].content == TEXTS[3]
    assert [(entry.model, entry.problem) for entry in index.health()] == [(model, "")]


@pytest.mark.parametrize(("model", "dimensions"), [(MODEL, 4001), (MODEL, 16_000), (MODEL, 0), (MODEL, -1), ("", 8)])
def test_what_can_not_be_indexed_is_said(db: None, model: str, dimensions: int) -> None:
    for make in (index.ensure, index.rebuild):
        with pytest.raises(Invalid) as refused:
            make(model, dimensions)
        assert dimensions <= 4000 or "4000" in refused.value.detail


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_several_makers_at_once_make_one_index() -> None:
    write(TenantFactory.create(), "post-1", TEXTS)
    made: list[Any] = []

    def make() -> None:
        try:
            made.append(index.ensure(MODEL, SIZE))
        except Exception as error:
            made.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert sorted(made, key=str) == [False, False, False, True]
        assert [(entry.exists, entry.valid, entry.rows) for entry in index.health()] == [(True, True, 60)]
        index.rebuild(MODEL, SIZE)
        assert index.health()[0].problem == ""
    finally:
        index.drop(MODEL, SIZE)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_index_that_was_left_half_made_is_made_again() -> None:
    write(TenantFactory.create(), "post-1", TEXTS)
    index.ensure(MODEL, SIZE)
    try:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [NAME])
        assert "half made" in index.health()[0].problem
        assert index.ensure(MODEL, SIZE)
        assert index.health()[0].problem == ""
    finally:
        index.drop(MODEL, SIZE)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_what_a_broken_off_rebuild_left_is_told_and_goes_with_the_next() -> None:
    write(TenantFactory.create(), "post-1", TEXTS)
    index.ensure(MODEL, SIZE)
    left = [f"{NAME}_ccnew", f"{NAME}_ccnew1", f"{NAME}_ccold"]
    others = [f"{NAME}_copy", f"{NAME}_ccnew_2"]
    try:
        with connection.cursor() as cursor:
            for name in [*left, *others]:
                cursor.execute(f"CREATE INDEX {name} ON django_wp_ai_chunk (id)")
                cursor.execute(
                    "UPDATE pg_index SET indisvalid = false, indisready = true WHERE indexrelid = %s::regclass", [name]
                )
        assert all(name in index.health()[0].problem for name in left)
        assert not any(name in index.health()[0].problem for name in others)
        index.rebuild(MODEL, SIZE)
        assert index.health()[0].problem == ""
        with connection.cursor() as cursor:
            cursor.execute("SELECT relname FROM pg_class WHERE relname LIKE %s ORDER BY relname", [f"{NAME}%"])
            assert [name for (name,) in cursor.fetchall()] == [NAME, *sorted(others)]
    finally:
        with connection.cursor() as cursor:
            for name in [*left, *others]:
                cursor.execute(f"DROP INDEX IF EXISTS {name}")
        index.drop(MODEL, SIZE)


@pytest.mark.postgresql
def test_health_tells_of_what_is_missing(tenant: Tenant) -> None:
    write(tenant, "post-1", TEXTS[:3])
    write(tenant, "post-2", TEXTS[3:5], vectors=[[1.0, 0.0], [0.0, 1.0]], embedding_model="other:model")
    write(tenant, "post-3", ["In the making."], is_live=False)
    Chunk.objects.filter(content=TEXTS[0]).update(embedding=None, dimensions=None, lexemes=None)

    assert {(entry.model, entry.rows, entry.exists) for entry in index.health()} == {
        (MODEL, 2, False),
        ("other:model", 2, False),
    }
    assert all("missing" in entry.problem for entry in index.health())
    assert (index.missing_embeddings(), index.missing_words()) == (1, 1)
    assert {(entry.rows, entry.problem) for entry in index.build()} == {(2, "")}
    assert all(entry.size_bytes > 0 for entry in index.rebuild_all())


@pytest.mark.postgresql
def test_recall_compares_the_index_with_everything(tenant: Tenant) -> None:
    assert index.recall(tenant) is None
    write(tenant, "post-1", TEXTS)
    write(TenantFactory.create(), "post-1", TEXTS)
    assert index.recall(tenant) is None

    index.ensure(MODEL, SIZE)
    found = index.recall(tenant, sample=10)
    assert found is not None
    assert found.questions == 10
    assert 0.9 <= found.worst <= found.mean <= 1


@pytest.mark.postgresql
def test_a_walk_of_the_index_finds_what_a_comparison_finds(tenant: Tenant, settings: Any) -> None:
    write(tenant, "post-1", TEXTS, tags=["a"])
    write(tenant, "post-2", TEXTS[:20], tags=["b"])
    for number in range(3):
        write(TenantFactory.create(), f"post-{number}", TEXTS)
    index.ensure(MODEL, SIZE)
    vector = embedded(TEXTS[7])

    def distances(*, exact: bool) -> list[float]:  # of passages that are as near, either may be found
        found = Chunk.objects.filter(pk__in=nearest(connection, tenant.pk, MODEL, vector, 10, exact=exact))
        return sorted(round(d, 3) for d in found.values_list(CosineDistance("embedding", list(vector)), flat=True))

    assert len(distances(exact=False)) == 10
    assert distances(exact=False) == distances(exact=True)


@pytest.mark.postgresql
def test_migrate_makes_the_indexes_of_models_in_use(tenant: Tenant) -> None:
    write(tenant, "post-1", TEXTS[:3])
    call_command("migrate", verbosity=0)
    assert "USING hnsw" in definition()


def join_makers() -> None:
    for thread in threading.enumerate():
        if thread.name == "django-wp-ai-index":
            thread.join()


@contextmanager
def other_maker() -> Iterator[None]:
    """Another process that makes this index and never ends."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [vectors.LOCK, crc32(NAME.encode()) - 2**31])
        yield
    finally:
        other.close()


def make_large(tenant: Tenant, settings: Any, *, exact: int) -> None:
    """60 passages, where a search compares ``exact`` one by one."""
    write(tenant, "post-1", TEXTS)
    Document.objects.filter(tenant=tenant).update(chunk_count=60)
    SiteIndex.objects.update_or_create(tenant=tenant, defaults={"embedding_model": MODEL, "dimensions": SIZE})
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "RAG_EXACT_CHUNKS": exact}


@pytest.mark.postgresql
def test_only_models_of_large_sites_get_an_index_by_themselves(tenant: Tenant, settings: Any) -> None:
    make_large(tenant, settings, exact=60)
    assert index.make_missing() == 0
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "RAG_EXACT_CHUNKS": 59}
    assert [index.make_missing(), index.make_missing()] == [1, 0]
    assert definition()
    index.drop(MODEL, SIZE)
    SiteIndex.objects.update(dimensions=5000)  # more than can be indexed
    assert index.make_missing() == 0


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_worker_makes_missing_indexes_beside_its_tasks(settings: Any) -> None:
    make_large(TenantFactory.create(), settings, exact=59)
    with other_maker():
        assert index.make_missing() == 0  # left to the one that is at it
        tasks.keep_indexes()
        join_makers()
        assert definition() == ""
    tasks.keep_indexes()
    join_makers()
    try:
        assert index.health()[0].problem == ""
        assert not index.start_making()
    finally:
        index.drop(MODEL, SIZE)


@pytest.mark.postgresql
@pytest.mark.parametrize("flags", [[], ["--rebuild", "--words"]])
def test_the_command_makes_and_shows_the_indexes(
    tenant: Tenant, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    write(tenant, "post-1", TEXTS)
    call_command("wp_ai_documents", "index", "--recall", tenant.slug, "--json", *flags)
    [row] = json.loads(capsys.readouterr().out)
    assert (row["model"], row["dimensions"], row["rows"], row["problem"]) == (MODEL, SIZE, 60, "")
    assert row["recall"] >= 0.9


def test_words_are_analysed_again_where_they_are_missing(tenant: Tenant) -> None:
    write(tenant, "post-1", ["Roses and tulips."], title="Flowers")
    write(tenant, "post-2", ["Cabbages."])
    kept = list(Chunk.objects.order_by("id").values_list("lexemes", "term_count"))
    Chunk.objects.filter(document__source_id="post-1").update(lexemes=None, term_count=0)
    assert [hit.source_id for hit in find(tenant, query="flower", vector=None, model="", k=5)] == []

    assert index.rewrite_words(tenant, only_missing=True) == 1
    assert list(Chunk.objects.order_by("id").values_list("lexemes", "term_count")) == kept
    assert index.rewrite_words() == 2
    index.chunks_written([])
    assert [hit.source_id for hit in find(tenant, query="flower", vector=None, model="", k=5)] == ["post-1"]


@pytest.mark.postgresql
def test_an_old_pgvector_is_reported(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def ids() -> list[str | None]:
        return [message.id for message in run_checks(tags=["database"], databases=["default"])]

    assert "django_wp_ai.W014" not in ids()
    monkeypatch.setattr("django_wp_ai.checks.WANTED_VERSION", (99, 0))
    assert "django_wp_ai.W014" in ids()
