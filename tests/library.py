"""The evaluation set, indexed by the real path: a bakery's site in three languages, and our own documentation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from django_wp_ai.bridge import CallerThread
from django_wp_ai.jobs import attempt, claims
from django_wp_ai.models import Document, Tenant
from django_wp_ai.rag.evaluation import EvalQuestion, parse
from django_wp_ai.rag.ingest import NewDocument, accept_many
from django_wp_ai.rag.ingest.operator import operator_of
from django_wp_ai.rag.ingest.sets import new_of
from django_wp_ai.rag.sources import folder, wxr

ROOT = Path(__file__).parent.parent
EXPORT = ROOT / "tests" / "data" / "posts.wxr.xml"
QUESTIONS = ROOT / "tests" / "data" / "eval" / "questions.jsonl"
ELSEWHERE = ROOT / "tests" / "data" / "eval" / "elsewhere.txt"
DOCS = "docs"
MODEL = "offline:offline-hash-2"
MOST_AT_ONCE = 50


def questions() -> list[EvalQuestion]:
    """All questions."""
    return parse(QUESTIONS.read_text(encoding="utf-8"))


def elsewhere() -> list[str]:
    """Questions about anything else."""
    return ELSEWHERE.read_text(encoding="utf-8").splitlines()


def posts() -> list[NewDocument]:
    """What the site shows; each in its own language, where an export names one for all."""
    read = wxr.read(EXPORT, post_types=("post", "page"))
    return [replace(new_of(found), language="") for found in read]


def pages() -> list[NewDocument]:
    """The pages of ``docs``."""
    read = [new_of(found) for found in folder.read(ROOT / DOCS, suffixes=(".md",))]
    return [replace(new, source_id=f"{DOCS}/{new.source_id}") for new in read if new.source_id != "changelog.md"]


def index(tenant: Tenant, found: Sequence[NewDocument]) -> int:
    """Have them indexed by jobs, in this thread; how many documents the site has now."""
    Tenant.objects.filter(pk=tenant.pk).update(embedding_model=MODEL)
    tenant.embedding_model = MODEL
    for start in range(0, len(found), MOST_AT_ONCE):
        accept_many(operator_of(tenant), found[start : start + MOST_AT_ONCE])
    while claimed := claims.claim(worker="library", at_most=10):
        for claim in claimed:
            CallerThread().drive(attempt.run(claim)).write()
    return Document.objects.for_tenant(tenant).filter(status=Document.Status.INDEXED).count()


def about(found: Collection[EvalQuestion], documents: Collection[NewDocument]) -> list[EvalQuestion]:
    """The questions that these documents answer."""
    there = {new.source_id for new in documents}
    return [question for question in found if question.relevant and question.relevant <= there]
