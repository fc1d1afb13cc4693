"""A step's usual way on PostgreSQL, one statement each: sent for the first time, and done.

The row of the job is locked as ``held.lock_held`` locks it. Where another transaction held that lock, what is asked of
the row is asked again of its newest version, so a claim that was lost meanwhile changes nothing.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, router

from django_wp_ai.jobs.held import HELD, Claim
from django_wp_ai.models import Job

_SEND = f"""
WITH held AS (
    SELECT job.id FROM django_wp_ai_job AS job
    JOIN django_wp_ai_credential AS credential ON credential.id = job.credential_id AND credential.revoked_at IS NULL
    JOIN django_wp_ai_tenant AS tenant ON tenant.id = credential.tenant_id AND tenant.is_active
    WHERE {HELD} FOR NO KEY UPDATE OF job
)
INSERT INTO django_wp_ai_jobstep (job_id, name, state, sends, fence, sent_at)
SELECT held.id, %(name)s, 'sent', 1, %(fence)s, statement_timestamp() FROM held
ON CONFLICT (job_id, name) DO NOTHING
"""  # noqa: S608 - a condition of ours, no value

_DONE = f"""
WITH held AS (
    SELECT job.id FROM django_wp_ai_job AS job WHERE {HELD} FOR NO KEY UPDATE OF job
)
UPDATE django_wp_ai_jobstep AS step
SET state = 'done', result_sealed = %(result)s, done_at = statement_timestamp()
FROM held WHERE step.job_id = held.id AND step.name = %(name)s AND step.fence = %(fence)s AND step.state = 'sent'
"""  # noqa: S608 - a condition of ours, no value


def send(claim: Claim, name: str) -> bool:
    """Mark a step as sent that never was; False, and nothing, where that is not all there is to it.

    The claim may be lost, the credential or the site out of use, or the step known.
    """
    return _changes(_SEND, claim, name=name)


def done(claim: Claim, name: str, sealed: bytes) -> bool:
    """Keep the result of a step that this claim has sent; False where the claim is lost."""
    return _changes(_DONE, claim, name=name, result=sealed)


def _changes(statement: str, claim: Claim, **values: str | bytes) -> bool:
    known: dict[str, Any] = {"id": claim.job.pk, "fence": claim.fence}
    with connections[router.db_for_write(Job)].cursor() as cursor:
        cursor.execute(statement, known | values)
        return bool(cursor.rowcount)
