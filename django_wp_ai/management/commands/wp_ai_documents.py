"""``wp_ai_documents``: import files, look through a site, index anew, and see how an index is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Count, Sum

from django_wp_ai.management.commands.wp_ai_tenant import find_tenant
from django_wp_ai.management.reporting import ReportingCommand
from django_wp_ai.models import Document, SiteIndex, Tenant
from django_wp_ai.rag import index as indexes
from django_wp_ai.rag import ingest
from django_wp_ai.rag.ingest.accepting import MOST_AT_ONCE
from django_wp_ai.rag.ingest.sets import Intake, new_of
from django_wp_ai.rag.sources import folder, wxr
from django_wp_ai.rag.sources.base import SourceDocument

SHOWN = 20


class Command(ReportingCommand):
    """Verbs import, sync, reindex, index, status."""

    help = "Import documents, look through a site, index documents anew, and see how an index is."

    def add_verbs(self) -> None:
        """Declare the verbs of PROTOCOL §6."""
        bring = self.add_verb("import", "Take in a WordPress export (WXR) or all files of a folder.", self.bring_in)
        bring.add_argument("slug", metavar="SLUG")
        bring.add_argument("path", metavar="PATH", type=Path)
        sync = self.add_verb("sync", "Let a job pull what the site has published.", self.sync)
        sync.add_argument("slug", metavar="SLUG")
        sync.add_argument(
            "--full", action="store_true", help="Everything; else what has changed. Deletions in any case."
        )
        again = self.add_verb("reindex", "Index documents anew from what is kept of them.", self.reindex)
        again.add_argument("slug", metavar="SLUG")
        again.add_argument("source_ids", metavar="SOURCE_ID", nargs="*", help="These; without any, all.")
        again.add_argument("--failed", action="store_true", help="Only those that failed.")
        index = self.add_verb("index", "Make the missing indexes over vectors, and show how all are.", self.index)
        index.add_argument("--rebuild", action="store_true", help="Make all anew; the old ones serve meanwhile.")
        index.add_argument("--words", action="store_true", help="Analyse the words of all passages again, too.")
        index.add_argument("--recall", metavar="SLUG", help="Say how much of a site's nearest the index finds.")
        status = self.add_verb("status", "Show how an index is, and which documents failed.", self.status)
        status.add_argument("slug", metavar="SLUG", nargs="?", help="One tenant; without it, all.")

    def bring_in(self, *, slug: str, path: Path, **_options: Any) -> None:
        """Queue what is new or changed; workers index it."""
        tenant = find_tenant(slug)
        taking = Intake(ingest.operator_of(tenant))
        seen = 0
        for found in read(path, tenant):
            seen += 1
            taking.add(new_of(found))
        taking.flush()
        names = ("queued", "unchanged", "outdated", "refused")
        told = {"tenant": tenant.slug, "seen": seen, **{name: taking.counts[name] for name in names}}
        errors = [{"source_id": name, "error": why} for name, why in taking.refused]
        if self.as_json:
            self.report({**told, "errors": errors})
        else:
            self.report(told, note="Workers index them now." if taking.counts["queued"] else "")
            if errors:
                self.report_table(errors[:SHOWN], columns=("source_id", "error"), empty="")
        if not seen:
            raise CommandError(f"There is nothing to import in {path}.")

    def sync(self, *, slug: str, full: bool, **_options: Any) -> None:
        """Begin a sync, or name the one that runs."""
        tenant = find_tenant(slug)
        job = ingest.start_sync(ingest.operator_of(tenant), full=full)
        self.report({"tenant": tenant.slug, "job": str(job.pk), "status": str(job.status)})

    def reindex(self, *, slug: str, source_ids: list[str], failed: bool, **_options: Any) -> None:
        """Queue documents again; passages that stay the same keep their vectors."""
        tenant = find_tenant(slug)
        chosen = Document.objects.for_tenant(tenant).living()
        if source_ids:
            chosen = chosen.filter(source_id__in=source_ids)
            missing = sorted(set(source_ids) - set(chosen.values_list("source_id", flat=True)))
            if missing:
                raise CommandError(f"There is no document {', '.join(missing)}.")
        if failed:
            chosen = chosen.filter(status=Document.Status.FAILED)
        rows, jobs = list(chosen.order_by("pk")), 0
        for at in range(0, len(rows), MOST_AT_ONCE):
            jobs += ingest.reindex(ingest.operator_of(tenant), rows[at : at + MOST_AT_ONCE]) is not None
        self.report({"tenant": tenant.slug, "documents": len(rows), "jobs": jobs})

    def index(self, *, rebuild: bool, words: bool, recall: str | None, **_options: Any) -> None:
        """Indexes by model; a problem is told in its row."""
        if words:
            indexes.rewrite_words()
        rows: list[dict[str, Any]] = [
            {**asdict(entry), "problem": entry.problem}
            for entry in (indexes.rebuild_all if rebuild else indexes.build)()
        ]
        if recall:
            found = indexes.recall(find_tenant(recall))
            for row in rows:
                row["recall"] = round(found.mean, 3) if found else None
        columns = ("model", "dimensions", "rows", "size_bytes", "problem", *(("recall",) if recall else ()))
        self.report_table(rows, columns=columns, empty="No passages have vectors that an index can hold.")

    def status(self, *, slug: str | None, **_options: Any) -> None:
        """Figures of each index; of one, its failed documents too."""
        tenants = [find_tenant(slug)] if slug else list(Tenant.objects.order_by("slug"))
        rows = [figures(tenant) for tenant in tenants]
        failed = Document.objects.filter(tenant__in=tenants, status=Document.Status.FAILED).order_by("-updated_at")
        errors = [
            {"source_id": one.source_id, "error": one.error_code, "message": one.error_message}
            for one in (failed[:SHOWN] if slug else ())
        ]
        if self.as_json:
            self.report_table([{**row, "errors": errors} if slug else row for row in rows], columns=(), empty="")
            return
        if slug:
            self.report(rows[0])
            if errors:
                self.stdout.write("")
                self.report_table(errors, columns=("source_id", "error", "message"), empty="")
            return
        columns = ("tenant", "indexed", "pending", "failed", "chunks", "model", "synced_at")
        self.report_table(rows, columns=columns, empty="There are no tenants.")


def read(path: Path, tenant: Tenant) -> Iterator[SourceDocument]:
    """What a folder or an export file holds; of the latter the tenant's post types."""
    if not path.exists():
        raise CommandError(f"There is no {path}.")
    if path.is_dir():
        yield from folder.read(path)
    else:
        yield from wxr.read(path, post_types=tenant.content_types or wxr.DEFAULT_TYPES)


def figures(tenant: Tenant) -> dict[str, Any]:
    """How many documents are how, and what the index says of itself."""
    mine = Document.objects.for_tenant(tenant).order_by()
    states = Counter(dict(mine.values_list("status").annotate(number=Count("pk"))))
    sums = mine.aggregate(chunks=Sum("chunk_count"), size=Sum("size_bytes"), cost=Sum("cost_usd"))
    index = SiteIndex.objects.for_tenant(tenant).first() or SiteIndex()
    return {
        "tenant": tenant.slug,
        **{state: states[state] for state in Document.Status.values},
        "chunks": sums["chunks"] or 0,
        "size_bytes": sums["size"] or 0,
        "cost_usd": sums["cost"],
        "model": index.embedding_model,
        "next_model": index.next_embedding_model,
        "revision": index.revision,
        "synced_at": index.synced_at,
        "fully_synced_at": index.fully_synced_at,
        "sync_error": index.sync_error,
    }
