"""What was read from a file is kept by the file's SHA-256, so the same file is read once; some failures are, too."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.models import Extraction, Tenant
from django_wp_ai.rag.extract import EXTRACTOR, Extracted, ExtractionFailed, extract, sniffing
from django_wp_ai.rag.extract.installed import can_recognise, missing_libraries
from django_wp_ai.rag.extract.limits import Limits, current

DELETED_AT_ONCE = 200
FORGOTTEN_AT_MOST = 5_000
#: The time of the last use is kept this exactly; a use more often writes nothing.
USED_STEP = timedelta(hours=1)


def extract_cached(tenant: Tenant, data: bytes, *, mime: str = "", filename: str = "") -> Extracted:
    """``extract``, or what it gave for these bytes before, to this tenant. Raises as it does.

    Texts are read anew each time: that takes less than to look them up.
    """
    kept = find(tenant, data, mime=mime, filename=filename)
    if kept is not None:
        return kept
    try:
        found: Extracted | ExtractionFailed = extract(data, mime=mime, filename=filename)
    except ExtractionFailed as error:
        found = error
    return keep(tenant, data, found, mime=mime, filename=filename)


def find(tenant: Tenant, data: bytes, *, mime: str = "", filename: str = "") -> Extracted | None:
    """What was read from these bytes before; raises ExtractionFailed where that had failed for good."""
    key = _key(data, mime, filename)
    kept = Extraction.objects.for_tenant(tenant).filter(**key).first() if key else None
    if kept is None:
        return None
    _note_use(kept)
    return _result(kept.result)


def keep(
    tenant: Tenant, data: bytes, found: Extracted | ExtractionFailed, *, mime: str = "", filename: str = ""
) -> Extracted:
    """Keep what ``extract`` gave or raised, and give or raise it."""
    key = _key(data, mime, filename)
    if isinstance(found, Extracted):
        if key:
            _keep(tenant, key, asdict(found))
        return found
    if key and found.is_certain:
        _keep(tenant, key, {"code": found.code, "detail": found.detail})
    raise found


def _key(data: bytes, mime: str, filename: str) -> dict[str, str]:
    """Empty for what is not kept."""
    limits = current()
    if len(data) > limits.extract_max_bytes or sniffing.sniff(data, mime=mime, filename=filename) in sniffing.TEXTS:
        return {}
    return {"sha256": hashlib.sha256(data).hexdigest(), "extractor": extractor(limits)}


def extractor(limits: Limits) -> str:
    """Names the code and all that its results depend on: a file is read anew when, say, a language was added."""
    depends = [
        limits.extract_max_chars,
        limits.extract_max_pages,
        limits.extract_timeout_s,
        limits.ocr_max_pages,
        limits.ocr_languages,
        can_recognise(limits.ocr_command),
        missing_libraries(),
    ]
    return f"{EXTRACTOR}-{hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:16]}"


def forget_unused(now: datetime, *, at_most: int = FORGOTTEN_AT_MOST) -> int:
    """Delete what nobody used for ``EXTRACTION_DAYS``; how many, the rest the next time."""
    unused = Extraction.objects.filter(used_at__lt=now - timedelta(days=settings.extraction_days))
    deleted = 0
    while deleted < at_most and (ids := list(unused.order_by("pk").values_list("pk", flat=True)[:DELETED_AT_ONCE])):
        unused.filter(pk__in=ids).delete()  # not what was used meanwhile
        deleted += len(ids)
    return deleted


def _keep(tenant: Tenant, key: dict[str, str], result: dict[str, Any]) -> None:
    """Who read the same file meanwhile has kept the same."""
    Extraction.objects.bulk_create([Extraction(tenant=tenant, result=result, **key)], ignore_conflicts=True)


def _note_use(kept: Extraction) -> None:
    now = timezone.now()
    if kept.used_at < now - USED_STEP:
        Extraction.objects.filter(pk=kept.pk).update(used_at=now)


def _result(kept: dict[str, Any]) -> Extracted:
    if "code" in kept:
        raise ExtractionFailed(kept["code"], kept["detail"])
    return Extracted(**kept)
