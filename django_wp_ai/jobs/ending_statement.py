"""The usual ending on PostgreSQL: a job that began no others succeeds, with what it has used, in one statement.

The row is locked as ``held.lock_held`` locks it; where another transaction held that lock, what is asked of the row is
asked again of its newest version. What it has used is counted as ``usage.totals`` counts it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import connections, router

from django_wp_ai.jobs.held import HELD, Claim
from django_wp_ai.jobs.timeline import with_attempt
from django_wp_ai.models import Job

_SUCCEED = f"""
WITH held AS (
    SELECT job.id FROM django_wp_ai_job AS job
    WHERE {HELD} AND NOT EXISTS (SELECT FROM django_wp_ai_job AS child WHERE child.parent_id = job.id)
    FOR NO KEY UPDATE OF job
), used AS (
    SELECT COALESCE(sum(input_tokens), 0) AS input, COALESCE(sum(output_tokens), 0) AS output,
           COALESCE(sum(COALESCE(cost_usd, reserved_usd)), 0) AS cost,
           count(*) FILTER (WHERE cost_usd IS NULL AND (reserved_usd IS NULL OR state <> 'pending')) AS unknown,
           COALESCE(bool_or(estimated OR state = 'pending'), FALSE) AS estimated,
           COALESCE(sum(latency_ms) FILTER (WHERE NOT cached), 0) AS provider
    FROM django_wp_ai_usageevent WHERE tenant_id = %(tenant)s AND trace_id = %(id)s
)
UPDATE django_wp_ai_job AS job SET
    status = 'succeeded', finished_at = statement_timestamp(), lease_until = NULL, error_code = '', error_message = '',
    timeline = jsonb_set(%(timeline)s::jsonb, '{{-1,ended_at}}', to_jsonb(
        to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))),
    result_sealed = %(result)s, progress = 100, input_tokens = used.input, output_tokens = used.output,
    cost_usd = CASE WHEN used.unknown = 0 THEN used.cost END, is_estimated = used.estimated, provider_ms = used.provider
FROM held, used WHERE job.id = held.id
RETURNING job.callback_url <> '', job.parent_id
"""  # noqa: S608 - a condition of ours, no value


@dataclass(frozen=True, slots=True)
class Ended:
    """Who else is to learn that the job has ended, in the same transaction."""

    has_callback: bool
    parent_id: uuid.UUID | None


def succeed(claim: Claim, sealed: bytes) -> Ended | None:
    """End it with this result; None, and nothing, where the claim is lost or the job has begun others."""
    job = claim.job
    values: dict[str, Any] = {
        "id": job.pk,
        "fence": claim.fence,
        "tenant": job.tenant_id,
        "result": sealed,
        "timeline": json.dumps(with_attempt(job, None, Job.Status.SUCCEEDED.value, "")),
    }
    with connections[router.db_for_write(Job)].cursor() as cursor:
        cursor.execute(_SUCCEED, values)
        row = cursor.fetchone()
    return None if row is None else Ended(*row)
