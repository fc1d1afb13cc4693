"""What a job has used, from the usage rows that bear its id, and those of its children."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce

from django_wp_ai.models import Job, UsageEvent


def totals(job: Job) -> dict[str, Any]:
    """The fields of ``Job`` that tell of usage. A call under way counts as what was reserved for it, as an estimate."""
    pending = Q(state=UsageEvent.State.PENDING)
    rows = UsageEvent.objects.for_tenant(job.tenant).filter(trace_id=job.pk)
    own = rows.aggregate(
        input=Sum("input_tokens"),
        output=Sum("output_tokens"),
        cost=Sum(Coalesce("cost_usd", "reserved_usd")),
        unknown=Count("pk", filter=Q(cost_usd=None, reserved_usd=None) | Q(cost_usd=None) & ~pending),
        estimated=Count("pk", filter=Q(estimated=True) | pending),
        provider=Sum("latency_ms", filter=Q(cached=False)),
    )
    children = Job.objects.for_tenant(job.tenant).filter(parent=job.pk)
    theirs = children.aggregate(
        input=Sum("input_tokens"),
        output=Sum("output_tokens"),
        cost=Sum("cost_usd"),
        unknown=Count("pk", filter=Q(cost_usd=None, finished_at__isnull=False)),
        estimated=Count("pk", filter=Q(is_estimated=True)),
        provider=Sum(F("provider_ms")),
    )
    cost = (own["cost"] or Decimal(0)) + (theirs["cost"] or Decimal(0))
    return {
        "input_tokens": (own["input"] or 0) + (theirs["input"] or 0),
        "output_tokens": (own["output"] or 0) + (theirs["output"] or 0),
        "cost_usd": None if own["unknown"] or theirs["unknown"] else cost,
        "is_estimated": bool(own["estimated"] or theirs["estimated"]),
        "provider_ms": (own["provider"] or 0) + (theirs["provider"] or 0),
    }
