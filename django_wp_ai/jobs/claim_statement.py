"""Claims and renewals on PostgreSQL, one statement each.

Claims of all workers come one after the other, by an advisory lock that the transaction holds: what runs of each tenant
is then counted right, and no limit is passed. The statement begins after the lock is there, so it sees what the claim
before it took. It reads no more of a long queue than it may take: ``sites`` hops from tenant to tenant through the
partial index (it names the whole order of it, else the planner may take another one), and of each tenant the first few
rows are read from the same index.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import connections, router

from django_wp_ai.jobs.held import one_transaction
from django_wp_ai.models import Job

#: Any number that nobody else uses for an advisory lock.
LOCK = 0x77706169_636C6D00

_CLAIM = """
WITH RECURSIVE sites (tenant_id) AS (
    (
        SELECT tenant_id FROM django_wp_ai_job WHERE status = 'queued'
        ORDER BY tenant_id, priority DESC, run_after, id LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT job.tenant_id FROM django_wp_ai_job AS job
        WHERE job.status = 'queued' AND job.tenant_id > sites.tenant_id
        ORDER BY job.tenant_id, job.priority DESC, job.run_after, job.id LIMIT 1
    ) FROM sites WHERE sites.tenant_id IS NOT NULL
), running AS (
    SELECT tenant_id, count(*) AS jobs FROM django_wp_ai_job
    WHERE status = 'running' AND waiting_for IS NULL GROUP BY tenant_id
), room AS (
    SELECT tenant.id, COALESCE(running.jobs, 0) AS jobs,
           LEAST(COALESCE(tenant.max_running_jobs, %(per_tenant)s) - COALESCE(running.jobs, 0), %(at_most)s) AS places
    FROM sites
    JOIN django_wp_ai_tenant AS tenant ON tenant.id = sites.tenant_id AND tenant.is_active
    LEFT JOIN running ON running.tenant_id = tenant.id
), chosen AS (
    SELECT first.id
    FROM room CROSS JOIN LATERAL (
        SELECT job.id, job.run_after, row_number() OVER (ORDER BY job.priority DESC, job.run_after, job.id) AS place
        FROM django_wp_ai_job AS job
        WHERE job.tenant_id = room.id AND job.status = 'queued' AND job.run_after <= statement_timestamp()
        ORDER BY job.priority DESC, job.run_after, job.id
        LIMIT GREATEST(room.places, 0)
    ) AS first
    ORDER BY room.jobs + first.place, first.run_after
    LIMIT %(at_most)s
), locked AS (
    SELECT job.id FROM django_wp_ai_job AS job JOIN chosen USING (id)
    WHERE job.status = 'queued' FOR NO KEY UPDATE OF job SKIP LOCKED
)
UPDATE django_wp_ai_job AS job SET
    status = 'running', fence = job.fence + 1, attempts = job.attempts + 1, worker = %(worker)s,
    lease_until = statement_timestamp() + make_interval(secs => %(lease_s)s),
    claimed_at = statement_timestamp(), started_at = COALESCE(job.started_at, statement_timestamp())
FROM locked WHERE job.id = locked.id
RETURNING job.*
"""

_RENEW = """
WITH held AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[]) AS held (id, fence)
), locked AS (
    SELECT job.id FROM django_wp_ai_job AS job JOIN held USING (id, fence)
    WHERE job.status = 'running' AND job.waiting_for IS NULL
    ORDER BY job.id FOR NO KEY UPDATE OF job
)
UPDATE django_wp_ai_job AS job
SET lease_until = statement_timestamp() + make_interval(secs => %(lease_s)s)
FROM locked WHERE job.id = locked.id
RETURNING job.id, job.cancel_requested_at IS NOT NULL
"""


def claim(*, worker: str, at_most: int, per_tenant: int, lease_s: float) -> list[Job]:
    """Rows that are the worker's now."""
    alias = router.db_for_write(Job)
    values = {"worker": worker, "at_most": at_most, "per_tenant": per_tenant, "lease_s": lease_s}
    with one_transaction():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        return list(Job.objects.using(alias).raw(_CLAIM, values))


def renew(held: Mapping[uuid.UUID, int], *, lease_s: float) -> dict[uuid.UUID, bool]:
    """Those that are still held, and whether each is to be cancelled."""
    values: dict[str, Any] = {"ids": list(held), "fences": list(held.values()), "lease_s": lease_s}
    with connections[router.db_for_write(Job)].cursor() as cursor:
        cursor.execute(_RENEW, values)
        return dict(cursor.fetchall())
